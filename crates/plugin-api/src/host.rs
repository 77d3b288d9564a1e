//! What the server does for a plugin.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ActionError, CommandReport, DeviceView, Selection, Verb};

/// The server, as an action sees it during one call. What an action asks is
/// checked against what config.json grants the plugin (`plugins.allow`), and
/// once the call's time is over, nothing more is done for it.
pub trait Host {
    /// The roster, by id.
    ///
    /// # Errors
    /// The call's time is over.
    fn devices(&self) -> Result<Vec<DeviceView>, ActionError>;

    /// Issues a command to each device that is meant, as an app's would be:
    /// recorded, with an expiry, and never twice. Waits until all have ended,
    /// at most `wait`, and at most half of the time that the call has left.
    ///
    /// Among several devices, one that may not be operated is `refused` in
    /// the report. Where a device calls the action, config.json must grant
    /// the device, too, what is asked for.
    ///
    /// # Errors
    /// No device is meant, the one that is may not be operated, or the
    /// server cannot issue anything now.
    fn command(
        &self,
        verb: Verb,
        selection: &Selection,
        wait: Duration,
    ) -> Result<CommandReport, ActionError>;

    /// Raises an alert: for everyone, and for the devices that asked for them.
    /// `what` is one word of `a-z`, `0-9`, `_` and `-`.
    ///
    /// # Errors
    /// It is not granted, or could not be sent.
    fn alert(&self, what: &str, body: &Value) -> Result<(), ActionError>;

    /// Publishes a message, at once and not retained.
    ///
    /// # Errors
    /// The topic is not granted, is one of the server's own or a device's
    /// command topic, or the message could not be sent.
    fn publish(&self, topic: &str, payload: &[u8]) -> Result<(), ActionError>;

    /// Writes a line to the server's log, under the plugin's name. Never a
    /// secret.
    fn log(&self, level: Level, message: &str);
}

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Somebody should look at it.
    Error,
    /// It may be wrong.
    Warn,
    /// It happened.
    Info,
    /// For who looks for a fault.
    Debug,
}
