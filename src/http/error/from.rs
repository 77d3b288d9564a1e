//! What the errors of other parts of the server are as answers. Those of the
//! accounts and of the codes stand beside what the API shows of them.

use latchlight_plugin_api::{ActionError, ErrorKind};

use super::ApiError;
use crate::commands::JournalError;
use crate::events::EventError;
use crate::identity::devices::CredentialsError;
use crate::pictures::PictureError;
use crate::plugin_host::InstallError;
use crate::state::StateError;

impl From<ActionError> for ApiError {
    fn from(error: ActionError) -> Self {
        match error.kind {
            ErrorKind::BadInput => Self::Invalid(error.message),
            ErrorKind::NotAllowed => Self::NotAllowed(error.message),
            ErrorKind::NotFound => Self::NotFound(error.message),
            ErrorKind::Unavailable => Self::Unavailable(error.message),
            ErrorKind::TooSoon(seconds) => Self::TooFast(error.message, seconds),
            ErrorKind::Internal => Self::Internal(anyhow::anyhow!("{}", error.message)),
        }
    }
}

impl From<InstallError> for ApiError {
    fn from(error: InstallError) -> Self {
        let detail = error.to_string();
        match error {
            InstallError::Off | InstallError::NotAllowed(_) | InstallError::Untrusted(_) => {
                Self::NotAllowed(detail)
            }
            InstallError::Unfit(_) => Self::Invalid(detail),
            InstallError::TooLarge(max) => Self::TooLarge(max),
            InstallError::Unknown(_) => Self::NotFound(detail),
            InstallError::Busy(_) => Self::Busy(detail),
            InstallError::Storage(_) => Self::Unavailable(detail),
        }
    }
}

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> Self {
        tracing::error!(%error, "the database did not answer");
        Self::Unavailable(match error {
            JournalError::Failed(_) => "the record of commands does not answer".to_owned(),
            JournalError::InDoubt => error.to_string(),
        })
    }
}

impl From<EventError> for ApiError {
    fn from(error: EventError) -> Self {
        tracing::error!(%error, "the database did not answer");
        Self::Unavailable("the record of events does not answer".to_owned())
    }
}

impl From<StateError> for ApiError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Unknown(_) => Self::NotFound(error.to_string()),
            StateError::NotSaved(_) => Self::Unavailable(error.to_string()),
            _ => Self::Invalid(error.to_string()),
        }
    }
}

impl From<CredentialsError> for ApiError {
    fn from(error: CredentialsError) -> Self {
        match error {
            CredentialsError::NotMade(_) => Self::Internal(error.into()),
            CredentialsError::NotSaved(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<PictureError> for ApiError {
    fn from(error: PictureError) -> Self {
        match error {
            PictureError::NotFound(_) => Self::NotFound(error.to_string()),
            PictureError::TooManyBytes { max } => Self::TooLarge(max),
            PictureError::TooSoon { wait, .. } => Self::TooSoon(wait),
            PictureError::Busy => Self::Busy(error.to_string()),
            PictureError::Storage(_) => {
                tracing::error!(%error, "the picture store failed");
                Self::Unavailable("pictures cannot be kept or read now".to_owned())
            }
            _ => Self::Invalid(error.to_string()),
        }
    }
}
