//! `/oauth`: OAuth 2 as apps use it (RFC 6749), its errors in its own words.

mod cookie;
mod error;
mod form;
pub(in crate::http) mod oidc;
pub(in crate::http) mod revoke;
pub(in crate::http) mod token;
