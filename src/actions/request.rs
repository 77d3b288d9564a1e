//! What an action is asked: by whom, and with which words.

use latchlight_plugin_api::ActionError;
use serde::de::DeserializeOwned;

use crate::identity::{Principal, Who};
use crate::state::DeviceId;

/// One call of an action.
#[derive(Debug, Clone)]
pub struct Request {
    /// The first word.
    pub word: String,
    /// What follows it: words, or one JSON object.
    pub rest: String,
    /// Who calls.
    pub principal: Principal,
    /// Where it came from, for the record; no topic when it came over HTTP.
    pub topic: Option<std::sync::Arc<str>>,
    /// The same may have come before: a repeated delivery of MQTT.
    pub duplicate: bool,
}

/// The rest of a payload: words, or one JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest<'a> {
    /// Words, split at white space.
    Words(Vec<&'a str>),
    /// The text of a JSON object.
    Json(&'a str),
}

impl Request {
    /// What somebody asks by another way than MQTT.
    pub fn new(principal: Principal, word: &str, rest: impl Into<String>) -> Self {
        Self { word: word.to_owned(), rest: rest.into(), principal, topic: None, duplicate: false }
    }

    /// The rest, as words or as the text of a JSON object.
    pub fn rest(&self) -> Rest<'_> {
        if self.rest.starts_with('{') {
            Rest::Json(&self.rest)
        } else {
            Rest::Words(self.rest.split_ascii_whitespace().collect())
        }
    }

    /// The device that calls.
    ///
    /// # Errors
    /// Somebody else does.
    pub fn device(&self) -> Result<DeviceId, ActionError> {
        match &self.principal.who {
            Who::Device(id) => Ok(id.clone()),
            _ => Err(ActionError::not_allowed(format!("only a device may say `{}`", self.word))),
        }
    }
}

/// Reads a JSON object, naming the field that is wrong.
///
/// # Errors
/// It is none, or not of this shape.
pub(crate) fn parse<T: DeserializeOwned>(word: &str, json: &str) -> Result<T, ActionError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = crate::named_fields::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let what = error.into_inner();
        // Where it is no JSON, there is no path, or half of one.
        ActionError::bad_input(match path.as_str() {
            path if path != "." && what.is_data() => format!("{word}: {path}: {what}"),
            _ => format!("{word}: {what}"),
        })
    })?;
    deserializer.end().map_err(|error| ActionError::bad_input(format!("{word}: {error}")))?;
    Ok(value)
}
