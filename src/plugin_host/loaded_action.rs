//! An action of a plugin, as the registry holds it.

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo};

use super::plugin::Plugin;
use crate::actions::{Action, Answer, Context, Request};

/// An action of a plugin.
pub struct LoadedAction {
    pub(super) info: ActionInfo,
    pub(super) plugin: Arc<Plugin>,
}

#[async_trait]
impl Action for LoadedAction {
    fn info(&self) -> ActionInfo {
        self.info.clone()
    }

    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError> {
        let (permissions, events) = (context.permissions.clone(), context.events.clone());
        let answer = self.plugin.perform(&self.info, request, permissions, events).await?;
        Ok(Answer { text: answer.text, replies: answer.replies, commands: Vec::new() })
    }
}
