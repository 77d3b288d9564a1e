//! `unlock [<device> [<command id>]]`, or `unlock {"device": …, "kind": …, "id": …}`.

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo};

use super::{Action, Answer, Context, Request, operate};
use crate::commands::Verb;

pub(super) struct Unlock;

#[async_trait]
impl Action for Unlock {
    fn info(&self) -> ActionInfo {
        operate::info(Verb::Unlock, "Unlocks a device, or all: bolts move in, lights go on.")
    }

    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError> {
        operate::operate(Verb::Unlock, &request, context).await
    }
}
