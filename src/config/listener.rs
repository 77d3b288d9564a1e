//! Where the server listens, and where it may without TLS.

use std::net::SocketAddr;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// What turns a listener off.
const OFF: &str = "off";

/// A listener's setting.
pub(super) struct Listener {
    /// Its key, as in `http.listen`.
    pub(super) key: &'static str,
    pub(super) address: Option<SocketAddr>,
    pub(super) tls: bool,
}

/// An address with its port, or `off`.
pub(super) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    if text == OFF {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        D::Error::custom(format!(
            "`{}` is not an address and a port, such as 127.0.0.1:8080, and not `off`",
            text.escape_debug()
        ))
    })
}

/// Whether these listeners, of `http` or `mqtt`, may be where they are.
pub(super) fn check(
    section: &str,
    listeners: &[Listener],
    allow_plain: bool,
) -> Result<(), String> {
    if listeners.iter().all(|listener| listener.address.is_none()) {
        let keys: Vec<&str> = listeners.iter().map(|listener| listener.key).collect();
        return Err(format!("{}: off, all of them, so that nobody can connect", keys.join(", ")));
    }
    for Listener { key, address, .. } in listeners.iter().filter(|listener| !listener.tls) {
        let Some(address) = address.filter(|address| !address.ip().is_loopback()) else { continue };
        if !allow_plain {
            return Err(format!(
                "{key}: {address} is not a loopback address, and what goes there without TLS, \
                 passwords too, can be read and changed on its way. Turn it \"off\" and use \
                 {section}.tls_listen (`latchlight tls init` makes certificates), or set \
                 {section}.allow_plain to true"
            ));
        }
    }
    Ok(())
}
