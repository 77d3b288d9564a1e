//! What the host needs of the server.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, CommandOutcome};
use serde_json::Value;

use crate::commands::Verb;
use crate::state::{Device, DeviceId};

/// What the host needs of the server. Grants were checked before any of this
/// is called; the server's own rules hold all the same.
#[async_trait]
pub trait HostServices: Send + Sync {
    /// The roster, by id.
    fn devices(&self) -> Vec<Arc<Device>>;

    /// Issues a command in the plugin's name, and waits for its end at most
    /// this long.
    ///
    /// # Errors
    /// It was not issued.
    async fn command(
        &self,
        plugin: &str,
        verb: Verb,
        device: &DeviceId,
        wait: Duration,
    ) -> Result<CommandOutcome, ActionError>;

    /// Raises an alert.
    ///
    /// # Errors
    /// It could not be sent.
    async fn alert(&self, what: &str, body: Value) -> Result<(), ActionError>;

    /// Publishes through the gate, not retained.
    ///
    /// # Errors
    /// The gate refuses the topic, or it could not be sent.
    async fn publish(&self, topic: &str, payload: Vec<u8>) -> Result<(), ActionError>;
}
