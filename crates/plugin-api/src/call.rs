//! One call of an action.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ActionError, Caller};

/// What an action is asked: by whom, and with which words. What was retained
/// in the broker never becomes a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The first word, which selected the action.
    pub word: String,
    /// What follows it: words, or one JSON object.
    pub rest: String,
    /// Who calls.
    pub caller: Caller,
    /// The topic it came on; none when it came over HTTP.
    pub topic: Option<String>,
    /// When the server took it in, in milliseconds since 1970.
    pub received_at_ms: u64,
    /// The same may have come before: a repeated delivery of MQTT. The server
    /// takes no commands from such a call.
    pub duplicate: bool,
    /// The plugin's own settings, from its entry in config.json.
    pub settings: Value,
}

impl Call {
    /// The rest, split at white space.
    pub fn words(&self) -> Vec<&str> {
        self.rest.split_ascii_whitespace().collect()
    }

    /// The rest, read as a JSON object.
    ///
    /// # Errors
    /// It is none, or not of this shape; the error is for the caller to read.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ActionError> {
        serde_json::from_str(&self.rest)
            .map_err(|error| ActionError::bad_input(format!("{}: {error}", self.word)))
    }

    /// The plugin's own settings; nothing in config.json is the default.
    ///
    /// # Errors
    /// They are not of this shape; the error names config.json.
    pub fn settings<T: DeserializeOwned + Default>(&self) -> Result<T, ActionError> {
        if self.settings.is_null() {
            return Ok(T::default());
        }
        T::deserialize(&self.settings).map_err(|error| {
            ActionError::unavailable(format!("the plugin's settings in config.json: {error}"))
        })
    }

    /// The device that calls.
    ///
    /// # Errors
    /// Somebody else does.
    pub fn device(&self) -> Result<&str, ActionError> {
        match &self.caller {
            Caller::Device(id) => Ok(id),
            _ => Err(ActionError::not_allowed(format!("only a device may say `{}`", self.word))),
        }
    }
}
