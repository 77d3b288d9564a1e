//! Who sends a request: from which address, and whether by TLS.

use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use actix_web::{HttpMessage as _, HttpRequest};

use super::connection::Usage;

/// The client at the other end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Peer {
    /// Nothing: the server's own socket.
    pub(super) address: Option<IpAddr>,
    /// Whether it came by TLS.
    pub(super) is_tls: bool,
}

impl Peer {
    /// Looks at the connection, and puts what it sees to the request.
    pub(super) fn see(request: &ServiceRequest) -> Self {
        let address = request.peer_addr().map(|peer| peer.ip());
        let is_tls = request.conn_data::<Usage>().is_some_and(Usage::is_tls);
        let peer = Self { address, is_tls };
        request.extensions_mut().insert(peer);
        peer
    }

    /// What was seen.
    pub(super) fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().copied().unwrap_or_default()
    }
}
