//! Signing in through an OpenID Connect provider: the authorization code with
//! PKCE, state and nonce. `openidconnect` checks most of what the provider says of
//! a person; here is the rest of it, who may begin, what is remembered meanwhile,
//! and how the provider is reached. Which account somebody is, is decided by `SignIn`.
//!
//! Absent by design: no account is made for whoever comes; the provider's own
//! tokens are not kept, and nothing is asked of it with them.

mod error;
mod https;
mod id_token;
mod pending;
mod person;
mod provider;
mod subject;

pub use error::ProviderError;
pub use person::Person;
pub use provider::{Answer, Begun, Provider};
pub use subject::{InvalidSubject, Subject};
