//! The record does not do its work.

use std::sync::Arc;

use crate::database::WriteError;

/// The record could not be written or read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the record of events: {0}")]
pub struct EventError(pub(super) Arc<str>);

impl EventError {
    /// What stands there is not what was written.
    pub fn odd(what: String) -> Self {
        Self(what.into())
    }
}

impl From<sqlx::Error> for EventError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string().into())
    }
}

impl From<WriteError> for EventError {
    fn from(error: WriteError) -> Self {
        Self(error.to_string().into())
    }
}
