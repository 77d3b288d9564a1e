//! Who someone is, and what they may do.
//!
//! An [`Account`] is a person or a program; the [`Directory`] holds them all.
//! Whoever was let in is a [`Principal`]; [`Permissions`] decide what it may do,
//! each time anew. A device is let in by its [`devices::DeviceCredentials`]; what it
//! may do goes by its id and by what config.json grants it.

mod account;
mod counts;
pub mod devices;
mod directory;
pub mod failures;
mod first_owner;
mod grant;
mod key_secret;
mod name;
pub mod oidc;
mod pass;
mod password;
mod permissions;
pub mod pins;
mod principal;
mod role;
mod rows;
mod scope;
mod sign_in;
mod tally;
mod throttle;
mod tokens;
mod view;
mod window;

pub use account::{Account, AccountId, AccountKind, Proof};
pub use directory::{Directory, DirectoryError};
pub use first_owner::{FirstOwner, PASSWORD_VARIABLE, ensure_owner};
pub use grant::AccountGrant;
pub use key_secret::{InvalidKeySecret, KeySecret};
pub use name::{Identity, InvalidIdentity};
pub use pass::{Pass, PassOver};
pub use password::{InvalidPassword, NewPassword, PasswordError, Passwords, ShownPassword};
pub use permissions::Permissions;
pub use principal::{Principal, Through, Who};
pub use role::{InvalidRole, Role};
pub use scope::{InvalidScope, Scope, Scopes};
pub use sign_in::{Granted, SignIn, SignInError};
pub use tokens::{InvalidRefreshToken, RefreshToken};
pub use view::{View, nameless};
pub use window::{Day, Hours, Window};
