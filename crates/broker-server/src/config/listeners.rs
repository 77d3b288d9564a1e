//! `listeners`: where clients connect.

use std::net::SocketAddr;

use serde::Deserialize;

/// One listener.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerConfig {
    /// What is spoken there.
    #[serde(default, rename = "type")]
    pub(crate) kind: ListenerKind,
    /// Where it is bound; port 0 takes a free one.
    pub(crate) address: SocketAddr,
    /// It may be bound to an address that is no loopback one, although what is
    /// said there can be read on the way.
    #[serde(default)]
    pub(crate) exposed: bool,
}

/// What is spoken by a listener.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ListenerKind {
    /// MQTT over TCP.
    #[default]
    Tcp,
}

impl ListenerConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        // C24
        if !self.exposed && !self.address.ip().is_loopback() {
            return Err(format!(
                "address: {} is no loopback address, and what is said there, passwords too, can \
                 be read on the way; if that is meant, say `exposed: true`",
                self.address
            ));
        }
        Ok(())
    }

    /// Whether both would be bound to the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.address == other.address && self.address.port() != 0
    }
}
