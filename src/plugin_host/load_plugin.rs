//! `load_plugin <name>`: the library that its sender has sent is loaded.

use std::sync::Weak;

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo, Callers};

use super::manager::Inner;
use super::remote::Installed;
use crate::actions::{Action, Answer, Context, Request, Rest};

/// Loads what came by `install_plugin`.
pub(super) struct LoadPlugin(pub(super) Weak<Inner>);

#[async_trait]
impl Action for LoadPlugin {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "load_plugin".to_owned(),
            description: "Loads the plugin that the same owner has sent.".to_owned(),
            callers: Callers::APPS,
            secret: false,
        }
    }

    fn records_refusals(&self) -> bool {
        true
    }

    async fn perform(&self, request: Request, _: &Context) -> Result<Answer, ActionError> {
        let stopped = || ActionError::unavailable("the server is stopping");
        let host = self.0.upgrade().ok_or_else(stopped)?;
        host.permit_action(&request.principal)?;
        let Rest::Words(words) = request.rest() else { return Err(usage()) };
        let [name] = words.as_slice() else { return Err(usage()) };
        let loaded = host.load_transferred(&request.principal, name).await?;
        let Installed { name, version, actions, .. } = loaded;
        Ok(Answer::text(format!("{name} {version}: {}", actions.join(", "))))
    }
}

fn usage() -> ActionError {
    ActionError::bad_input("load_plugin: one word follows, the plugin's name")
}
