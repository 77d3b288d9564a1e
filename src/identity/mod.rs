//! Who someone is, and what they may do.
//!
//! Accounts, credentials and tokens are to come; until then every listener
//! binds loopback, and an app is who it says it is. What a device may do is
//! already decided here, by its id and by what config.json grants it.

mod name;
mod permissions;

pub use name::{Identity, InvalidIdentity};
pub use permissions::Permissions;
