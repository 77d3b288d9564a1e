//! What every answer across the boundary is wrapped in.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ActionError;

/// `{"ok": …}`, `{"error": {"kind": …, "message": …}}` or `{"panic": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome<T> {
    /// It was done.
    Ok(T),
    /// It was not done, and why.
    Error(ActionError),
    /// The other side panicked, and what it said last.
    Panic(String),
}

impl<T: Serialize> Outcome<T> {
    /// As JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|error| {
            let error = serde_json::Value::String(error.to_string());
            format!(r#"{{"error":{{"kind":"internal","message":{error}}}}}"#).into_bytes()
        })
    }
}

impl<T: DeserializeOwned> Outcome<T> {
    /// From JSON; what is none is an error of the other side.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_else(|error| {
            Self::Error(ActionError::internal(format!("the answer cannot be read: {error}")))
        })
    }
}

impl<T> From<Result<T, ActionError>> for Outcome<T> {
    fn from(result: Result<T, ActionError>) -> Self {
        match result {
            Ok(value) => Self::Ok(value),
            Err(error) => Self::Error(error),
        }
    }
}

impl<T> From<Outcome<T>> for Result<T, ActionError> {
    fn from(outcome: Outcome<T>) -> Self {
        match outcome {
            Outcome::Ok(value) => Ok(value),
            Outcome::Error(error) => Err(error),
            Outcome::Panic(what) => Err(ActionError::internal(format!("a panic: {what}"))),
        }
    }
}
