//! `access`: who may do what.

use std::path::PathBuf;

use serde::Deserialize;

/// One of the two ways.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AccessConfig {
    /// Everybody may do everything.
    pub(crate) allow_anonymous: bool,
    /// The file of a ledger says it.
    pub(crate) ledger: Option<PathBuf>,
}

impl AccessConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.allow_anonymous, &self.ledger) {
            (true, Some(_)) => Err("access: `allow_anonymous` and `ledger` exclude each other; \
                 a ledger lets in whom it wants without a password"
                .to_owned()),
            (false, None) => Err("access: nobody is let in. Say who is: with a ledger, a file of \
                 users and rules (--ledger FILE, or access.ledger in a configuration), or \
                 everybody, who may then do everything (--allow-anonymous, or \
                 access.allow_anonymous: true)"
                .to_owned()),
            _ => Ok(()),
        }
    }
}
