//! Why an action was not done.

use serde::{Deserialize, Serialize};

/// Why an action was not done, for its caller to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct ActionError {
    /// Whose turn it is to do something about it.
    pub kind: ErrorKind,
    /// What was wrong, and what would be right; never a secret.
    pub message: String,
}

/// The kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The words that were given.
    BadInput,
    /// The caller may not.
    NotAllowed,
    /// There is no such thing.
    NotFound,
    /// It cannot be done now.
    Unavailable,
    /// Somebody asks too often: not before so many seconds.
    TooSoon(u64),
    /// The action failed for a reason of its own.
    Internal,
}

impl ActionError {
    /// Somebody asks too often: not before so many seconds.
    pub fn too_soon(seconds: u64, message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::TooSoon(seconds), message: message.into() }
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {
        impl ActionError {
            $($(#[$doc])*
            pub fn $name(message: impl Into<String>) -> Self {
                Self { kind: ErrorKind::$kind, message: message.into() }
            })*
        }
    };
}

constructors! {
    /// The words that were given are wrong.
    bad_input => BadInput,
    /// The caller may not.
    not_allowed => NotAllowed,
    /// There is no such thing.
    not_found => NotFound,
    /// It cannot be done now.
    unavailable => Unavailable,
    /// The action failed for a reason of its own.
    internal => Internal,
}
