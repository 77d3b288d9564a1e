//! Why somebody was not let in.

use std::time::Duration;

use crate::identity::PasswordError;
use crate::identity::throttle::TooSoon;

/// Why somebody was not let in. None of them tells whether there is such an
/// account.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Name and password, or name and secret, do not belong together, or are
    /// nobody's any more.
    #[error("the name or the password is wrong")]
    Wrong,
    /// The refresh token is not good.
    #[error("the refresh token is not good, or not any more: sign in anew")]
    Void,
    /// Nothing of what was asked for may be had.
    #[error("none of these scopes may be had")]
    Scope,
    /// Too many attempts.
    #[error("too many attempts: try again in {} s", .0.as_secs() + 1)]
    TooSoon(Duration),
    /// Too many passwords are being checked.
    #[error("too many sign in at once: try again soon")]
    Busy,
    /// It cannot be done.
    #[error("{0:#}")]
    Failed(anyhow::Error),
}

impl From<TooSoon> for SignInError {
    fn from(TooSoon(wait): TooSoon) -> Self {
        Self::TooSoon(wait)
    }
}

impl From<PasswordError> for SignInError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy,
            error @ PasswordError::Failed(_) => Self::Failed(error.into()),
        }
    }
}

impl From<sqlx::Error> for SignInError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(anyhow::Error::new(error).context("the database did not answer"))
    }
}
