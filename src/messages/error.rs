//! Why a message is not accepted, or the record does not do its work.

use std::sync::Arc;

use super::MessageId;
use crate::database::WriteError;
use crate::device_interface::topics::Refused;

/// The record of messages could not be written or read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the record of messages: {0}")]
pub struct MessageError(pub(super) Arc<str>);

impl MessageError {
    /// What stands there is not what was written.
    pub fn odd(what: String) -> Self {
        Self(what.into())
    }
}

impl From<sqlx::Error> for MessageError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string().into())
    }
}

impl From<WriteError> for MessageError {
    fn from(error: WriteError) -> Self {
        Self(error.to_string().into())
    }
}

/// What is wrong with a message that somebody wants to send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDraft {
    /// It cannot be a message.
    #[error("{0}")]
    Unfit(String),
    /// The settings do not let anybody send there.
    #[error("`{0}` is not among the topics that messages.topics allows")]
    NotAllowed(String),
    /// Nobody but the server, or a command, goes there.
    #[error(transparent)]
    Reserved(Refused),
}

/// Why a message was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotAccepted {
    /// Too much waits for the broker.
    #[error("too many messages wait for the broker")]
    Full,
    /// The server stops.
    #[error("the server is stopping")]
    Closing,
    /// It could not be written.
    #[error(transparent)]
    NotSaved(#[from] MessageError),
    /// It is not known whether it was written, and it is not sent.
    #[error("it is not known whether message {0} is on record; it is not sent")]
    InDoubt(MessageId),
}
