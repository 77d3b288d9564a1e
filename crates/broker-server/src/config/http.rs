//! `http`: statistics, health and metrics over HTTP.

use std::net::SocketAddr;

use serde::Deserialize;

/// Where they are served.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpConfig {
    /// Where it is bound; port 0 takes a free one. Without it there is none.
    pub(crate) listen: Option<SocketAddr>,
    /// It may be bound to an address that is no loopback one, although everybody
    /// there can read it.
    pub(crate) exposed: bool,
    /// The host names that it may be called by, other than addresses and
    /// `localhost`; `*`: any.
    pub(crate) hosts: Vec<String>,
}

impl HttpConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        let Some(address) = self.listen else { return Ok(()) };
        // C24
        if !self.exposed && !address.ip().is_loopback() {
            return Err(format!(
                "http.listen: {address} is no loopback address, and everybody who reaches it can \
                 read the statistics; if that is meant, say `exposed: true`"
            ));
        }
        Ok(())
    }
}
