//! From what the configuration says of a listener to its socket.

use std::net::TcpListener;

use anyhow::Context as _;

use crate::config::{ListenerConfig, ListenerKind};

/// Binds a listener.
pub(crate) fn bind(config: &ListenerConfig) -> anyhow::Result<TcpListener> {
    let ListenerConfig { kind, address, .. } = config;
    match kind {
        ListenerKind::Tcp => {
            if !address.ip().is_loopback() {
                tracing::warn!(%address, "passwords and messages cross the network in plain text");
            }
            TcpListener::bind(address).with_context(|| format!("listen on {address}"))
        }
    }
}
