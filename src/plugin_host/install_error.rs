//! Why a plugin was not installed from afar, or not removed.

use latchlight_plugin_api::ActionError;

use super::load_error::LoadError;

/// Why a plugin was not installed, or not removed. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// config.json does not have it.
    #[error(
        "`plugins.remote_install` is off in config.json: nothing is installed or removed from afar"
    )]
    Off,
    /// Whoever asks may not.
    #[error("{0}")]
    NotAllowed(String),
    /// No key of config.json has signed this.
    #[error("{0}")]
    Untrusted(String),
    /// It is not what it should be, or cannot take its place.
    #[error("{0}")]
    Unfit(String),
    /// It has more bytes than these.
    #[error("the library has more than {0} bytes, which is `plugins.max_bytes`")]
    TooLarge(usize),
    /// There is no such plugin.
    #[error("{0}")]
    Unknown(String),
    /// Too much at once.
    #[error("{0}")]
    Busy(String),
    /// It could not be written.
    #[error("{0}")]
    Storage(String),
}

impl From<LoadError> for InstallError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Read(_) | LoadError::ReadFromFolder { .. } | LoadError::Copy(_) => {
                Self::Storage(error.to_string())
            }
            error => Self::Unfit(error.to_string()),
        }
    }
}

impl From<InstallError> for ActionError {
    fn from(error: InstallError) -> Self {
        let message = error.to_string();
        match error {
            InstallError::Off | InstallError::NotAllowed(_) | InstallError::Untrusted(_) => {
                Self::not_allowed(message)
            }
            InstallError::Unfit(_) | InstallError::TooLarge(_) => Self::bad_input(message),
            InstallError::Unknown(_) => Self::not_found(message),
            InstallError::Busy(_) | InstallError::Storage(_) => Self::unavailable(message),
        }
    }
}
