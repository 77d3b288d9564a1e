//! `on [<device> [<command id>]]`, or `on {"device": …, "kind": …, "id": …}`.

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo, Callers};

use super::{Action, Answer, Context, Request, operate};
use crate::commands::Verb;

pub(super) struct On;

#[async_trait]
impl Action for On {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "on".to_owned(),
            description: "Switches a light on, or all.".to_owned(),
            callers: Callers::APPS_AND_GRANTED_DEVICES,
            secret: false,
        }
    }

    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError> {
        operate::operate(Verb::On, &request, context).await
    }
}
