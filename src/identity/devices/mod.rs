//! What devices show to be let in: a secret for each, made here, shown once,
//! and kept as its SHA-256.

mod credential;
mod credentials;
mod rows;
mod secret;

pub use credential::DeviceCredential;
pub use credentials::{CredentialsError, DeviceCredentials, Revoked};
pub use secret::DeviceSecret;
