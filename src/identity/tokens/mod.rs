//! What somebody shows after having signed in.
//!
//! An access token is a JWT that says who and for what, and ends by itself soon;
//! that it is genuine is found out without the database. What it is still worth
//! is asked at each request: of the account (`Permissions`), and of what was
//! revoked. A refresh token is a random number that stands for the sign-in, and
//! is good once.

mod access;
mod refresh;
mod revoked;
mod signing_keys;

pub(super) use access::{AccessTokens, Claims, LIFETIME};
pub use refresh::{InvalidRefreshToken, RefreshToken};
pub(super) use refresh::{RefreshTokens, Used};
pub(super) use revoked::Revoked;
pub(super) use signing_keys::SigningKeys;
