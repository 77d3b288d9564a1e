//! `unlock [<device> [<command id>]]`, or `unlock {"device": …, "kind": …, "id": …}`.

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo, Callers};

use super::{Action, Answer, Context, Request, operate};
use crate::commands::Verb;

pub(super) struct Unlock;

#[async_trait]
impl Action for Unlock {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "unlock".to_owned(),
            description: "Unlocks a device, or all: bolts move in, lights go on.".to_owned(),
            callers: Callers::APPS_AND_GRANTED_DEVICES,
            secret: false,
        }
    }

    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError> {
        operate::operate(Verb::Unlock, &request, context).await
    }
}
