//! What devices show to be let in: a secret for each, made here, shown once,
//! and kept as its SHA-256; the keys of those whose commands are signed; and
//! pairing, by which a device comes by its own.

mod command_key;
mod credential;
mod credentials;
mod pairing;
mod rows;
mod secret;

pub use command_key::CommandKey;
pub use credential::DeviceCredential;
pub use credentials::{CredentialsError, DeviceCredentials, IssuedCredentials, Revoked};
pub use pairing::{Ended, JoinCode, Pairing, PairingStatus};
pub use secret::DeviceSecret;
