//! The host, as a plugin reaches it: requests across the boundary.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Outcome;
use crate::{ActionError, CommandReport, DeviceView, Host, Level, Selection, Verb};

/// What a plugin asks of the host: `{"ask": "command", …}`. The answer is an
/// [`Outcome`] of what the method of [`Host`] gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum HostRequest {
    /// [`Host::devices`].
    Devices,
    /// [`Host::command`].
    Command {
        /// What they are to do.
        verb: Verb,
        /// The devices that are meant.
        selection: Selection,
        /// How long to wait for the ends.
        wait_ms: u64,
    },
    /// [`Host::alert`].
    Alert {
        /// Which alert.
        what: String,
        /// What there is to say.
        body: Value,
    },
    /// [`Host::publish`].
    Publish {
        /// Where.
        topic: String,
        /// What.
        payload: Vec<u8>,
    },
    /// [`Host::log`].
    Log {
        /// How much it matters.
        level: Level,
        /// The line.
        message: String,
    },
}

/// A [`Host`] at the other end of a function from JSON to JSON.
pub struct RemoteHost<'a> {
    ask: &'a dyn Fn(&[u8]) -> Vec<u8>,
}

impl<'a> RemoteHost<'a> {
    /// Asks through this function.
    pub fn new(ask: &'a dyn Fn(&[u8]) -> Vec<u8>) -> Self {
        Self { ask }
    }

    fn ask<T: DeserializeOwned>(&self, request: &HostRequest) -> Result<T, ActionError> {
        let request = serde_json::to_vec(request)
            .map_err(|error| ActionError::internal(format!("the request: {error}")))?;
        Outcome::from_bytes(&(self.ask)(&request)).into()
    }
}

impl Host for RemoteHost<'_> {
    fn devices(&self) -> Result<Vec<DeviceView>, ActionError> {
        self.ask(&HostRequest::Devices)
    }

    fn command(
        &self,
        verb: Verb,
        selection: &Selection,
        wait: Duration,
    ) -> Result<CommandReport, ActionError> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.ask(&HostRequest::Command { verb, selection: selection.clone(), wait_ms })
    }

    fn alert(&self, what: &str, body: &Value) -> Result<(), ActionError> {
        self.ask(&HostRequest::Alert { what: what.to_owned(), body: body.clone() })
    }

    fn publish(&self, topic: &str, payload: &[u8]) -> Result<(), ActionError> {
        self.ask(&HostRequest::Publish { topic: topic.to_owned(), payload: payload.to_vec() })
    }

    fn log(&self, level: Level, message: &str) {
        // A log that cannot be written is no reason to fail.
        let _: Result<(), _> = self.ask(&HostRequest::Log { level, message: message.to_owned() });
    }
}
