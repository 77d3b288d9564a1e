//! `off [<device> [<command id>]]`, or `off {"device": …, "kind": …, "id": …}`.

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo};

use super::{Action, Answer, Context, Request, operate};
use crate::commands::Verb;

pub(super) struct Off;

#[async_trait]
impl Action for Off {
    fn info(&self) -> ActionInfo {
        operate::info(Verb::Off, "Switches a light off, or all.")
    }

    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError> {
        operate::operate(Verb::Off, &request, context).await
    }
}
