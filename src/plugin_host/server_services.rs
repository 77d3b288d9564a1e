//! The server, as plugins reach it: commands through the device interface's
//! handle, as an app's go; everything else through the gate.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use latchlight_plugin_api::{self as api, ActionError, CommandOutcome};
use serde_json::{Value, json};

use super::HostServices;
use crate::actions::{Outbox as _, Request};
use crate::commands::{Command, Verb};
use crate::device_interface::{Handle, LinkOutbox};
use crate::identity::Principal;
use crate::state::{Device, DeviceId};

/// The running server.
pub struct ServerServices {
    /// Issues commands.
    pub handle: Handle,
    /// Sends the rest.
    pub outbox: LinkOutbox,
}

#[async_trait]
impl HostServices for ServerServices {
    fn devices(&self) -> Vec<Arc<Device>> {
        self.outbox.state.devices()
    }

    async fn command(
        &self,
        plugin: &str,
        verb: Verb,
        device: &DeviceId,
        wait: Duration,
    ) -> Result<CommandOutcome, ActionError> {
        let request = Request {
            word: verb.to_string(),
            rest: json!({ "device": device }).to_string(),
            principal: Principal::plugin(plugin),
            topic: None,
            duplicate: false,
        };
        let issued = self.handle.perform(request).await?.commands;
        let command = issued.first().ok_or_else(|| ActionError::internal("nothing was issued"))?;
        let ended = tokio::time::timeout(wait, command.ended()).await;
        Ok(outcome(&ended.unwrap_or_else(|_| command.snapshot())))
    }

    async fn alert(&self, what: &str, body: Value) -> Result<(), ActionError> {
        self.outbox.alert(what, body).await.map_err(ActionError::unavailable)
    }

    async fn publish(&self, topic: &str, payload: Vec<u8>) -> Result<(), ActionError> {
        let to = self.outbox.topics.reply(topic);
        let to = to.map_err(|error| ActionError::not_allowed(error.to_string()))?;
        let sent = self.outbox.link.publish(&to, payload.into(), false).await;
        sent.map_err(|error| ActionError::unavailable(format!("publish: {error:#}")))
    }
}

fn outcome(command: &Command) -> CommandOutcome {
    CommandOutcome {
        device: command.device.to_string(),
        verb: to_api(command.verb),
        command: Some(command.id.to_string()),
        status: command.status.to_string(),
        detail: command.detail.clone(),
    }
}

/// The plugins' word for a verb.
pub(super) fn to_api(verb: Verb) -> api::Verb {
    match verb {
        Verb::Lock => api::Verb::Lock,
        Verb::Unlock => api::Verb::Unlock,
        Verb::On => api::Verb::On,
        Verb::Off => api::Verb::Off,
    }
}
