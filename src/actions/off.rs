//! `off [<device> [<command id>]]`, or `off {"device": …, "kind": …, "id": …}`.

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo, Callers};

use super::{Action, Answer, Context, Request, operate};
use crate::commands::Verb;

pub(super) struct Off;

#[async_trait]
impl Action for Off {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "off".to_owned(),
            description: "Switches a light off, or all.".to_owned(),
            callers: Callers::APPS_AND_GRANTED_DEVICES,
            secret: false,
        }
    }

    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError> {
        operate::operate(Verb::Off, &request, context).await
    }
}
