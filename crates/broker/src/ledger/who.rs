//! Somebody who asks: what a ledger knows of a client.

use std::net::IpAddr;

use super::{AnyOf, Network, Pattern};
use crate::ClientCertificate;

/// Somebody who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who<'a> {
    pub(super) client_id: &'a str,
    pub(super) username: Option<&'a str>,
    pub(super) address: Option<IpAddr>,
    /// What it has shown.
    pub(super) certificate: Option<&'a ClientCertificate>,
    /// It was let in before: then an address that is not known any more, for
    /// its session has outlived a restart, keeps it from nothing.
    pub(super) was_let_in: bool,
}

impl Who<'_> {
    /// Whether it comes from there.
    pub(super) fn is_from(&self, remote: &AnyOf<Network>) -> bool {
        remote.accepts(self.address, |network, address| network.contains(*address))
    }

    /// Whether it has shown one of these certificates.
    pub(super) fn shows(&self, wanted: &AnyOf<Pattern>) -> bool {
        let is_wanted = |name: &str| wanted.values().iter().any(|one| one.matches(name, self));
        self.certificate.is_some_and(|shown| {
            let names = [&shown.dns_names, &shown.email_addresses, &shown.uris];
            let mut names = names.into_iter().flatten().chain(&shown.common_name);
            names.any(|name| is_wanted(name))
                || is_wanted(&format!("sha256:{}", shown.fingerprint_hex()))
        })
    }

    /// The same, or it was let in before, and nobody can show it now: its
    /// session has outlived a restart.
    pub(super) fn may_show(&self, wanted: &AnyOf<Pattern>) -> bool {
        let is_absent = self.was_let_in && self.certificate.is_none() && self.address.is_none();
        self.shows(wanted) || is_absent
    }

    /// Whether it may come from there.
    pub(super) fn may_be_from(&self, remote: &AnyOf<Network>) -> bool {
        self.is_from(remote) || (self.was_let_in && self.address.is_none())
    }
}
