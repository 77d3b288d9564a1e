//! `lock [<device> [<command id>]]`, or `lock {"device": …, "kind": …, "id": …}`.

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo, Callers};

use super::{Action, Answer, Context, Request, operate};
use crate::commands::Verb;

pub(super) struct Lock;

#[async_trait]
impl Action for Lock {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "lock".to_owned(),
            description: "Locks a device, or all: bolts move out, lights go off.".to_owned(),
            callers: Callers::APPS_AND_GRANTED_DEVICES,
            secret: false,
        }
    }

    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError> {
        operate::operate(Verb::Lock, &request, context).await
    }
}
