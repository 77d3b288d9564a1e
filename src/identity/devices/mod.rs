//! What devices show to be let in: a secret for each, made here, shown once,
//! and kept as its SHA-256; and pairing, by which a device comes by its own.

mod credential;
mod credentials;
mod pairing;
mod rows;
mod secret;

pub use credential::DeviceCredential;
pub use credentials::{CredentialsError, DeviceCredentials, Revoked};
pub use pairing::{Ended, JoinCode, Pairing, PairingStatus};
pub use secret::DeviceSecret;
