//! Why a provider lets nobody in.

use std::time::Duration;

use crate::identity::SignInError;

/// Why somebody is not let in through the provider.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// What comes back was not begun here, or not by this browser, or too long
    /// ago; or it has come back already.
    #[error("this sign-in was not begun here, or too long ago, or it is over: begin anew")]
    Stale,
    /// The provider has refused the person, or they themselves.
    #[error("the provider refused: {0}")]
    Denied(String),
    /// What the provider says cannot be believed.
    #[error("the provider's answer is not taken: {0}")]
    Odd(String),
    /// The provider cannot be reached, or gives no answer in time.
    #[error("the provider gives no answer: {0}")]
    Away(String),
    /// No account that is open belongs to this person.
    #[error("no account belongs to {0}")]
    Stranger(String),
    /// Too many are on their way through the provider.
    #[error("too many sign in through the provider at once")]
    Busy,
    /// Too many attempts.
    #[error("too many attempts: try again in {} s", .0.as_secs() + 1)]
    TooSoon(Duration),
    /// The provider has let them in, and this server cannot.
    #[error(transparent)]
    SignIn(#[from] SignInError),
}
