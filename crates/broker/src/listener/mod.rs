//! Listeners: where connections come in, and the limits that count before
//! anything else is done for them.

mod accept;
mod hall;
mod layers;
mod places;
mod source;
#[cfg(unix)]
mod unix;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use hall::Hall;
pub(crate) use layers::{Layers, lay_over};
pub(crate) use places::Place;
pub(crate) use source::Socket;

use crate::transport::{MemoryConnector, memory};
use source::Source;

/// A place where connections come in, for
/// [`BrokerBuilder::listener`](crate::BrokerBuilder::listener) and
/// [`Broker::add_listener`](crate::Broker::add_listener).
///
/// Connections that have no address (by a Unix socket, within the process)
/// count for the limit of all connections, and for none per address.
#[derive(Debug)]
pub struct Listener {
    /// Nothing: as its address says.
    name: Option<Arc<str>>,
    source: Source,
    /// What lies between that and MQTT.
    layers: Layers,
}

/// Where a listener is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerAddress {
    /// By TCP.
    Tcp(SocketAddr),
    /// By a socket in the file system; nothing where it has no name there.
    Unix(Option<PathBuf>),
    /// By the connector that was made with it.
    Memory,
}

/// A listener of a running broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerInfo {
    /// What it is called; no other listener of the broker has this name.
    pub name: Arc<str>,
    /// Where it is reached.
    pub address: ListenerAddress,
}

impl Listener {
    /// Plain TCP, bound already.
    pub fn tcp(listener: std::net::TcpListener) -> Self {
        Self::over(Source::Tcp(listener))
    }

    /// A Unix socket at this path, whose file has this mode before anybody can
    /// connect: `0o600` lets in its owner alone.
    ///
    /// A file that an earlier run has left there is replaced; one at which
    /// somebody listens, or that is no socket, is not. The file goes with the
    /// listener.
    ///
    /// To reset such a connection takes back nothing: what was written is with
    /// the client.
    ///
    /// # Errors
    /// The path is in use, or cannot be had.
    #[cfg(unix)]
    pub fn unix(path: impl Into<PathBuf>, mode: u32) -> std::io::Result<Self> {
        let socket = unix::UnixSocket::bind(path.into(), mode)?;
        Ok(Self::over(Source::Unix(socket)))
    }

    /// A Unix socket that was bound already; its file is its maker's affair.
    #[cfg(unix)]
    pub fn unix_socket(listener: std::os::unix::net::UnixListener) -> Self {
        Self::over(Source::Unix(listener.into()))
    }

    /// Connections within this process, by the connector, without a socket.
    pub fn memory() -> (Self, MemoryConnector) {
        let (connector, connections) = memory::connector();
        (Self::over(Source::Memory(connections)), connector)
    }

    fn over(source: Source) -> Self {
        Self { name: None, source, layers: Layers::default() }
    }

    /// Speaks TLS there, and nothing else. How long a handshake may take is
    /// [`Options::handshake_timeout`](crate::Options::handshake_timeout), how
    /// many there may be at once
    /// [`Options::max_handshakes`](crate::Options::max_handshakes).
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: &crate::Tls) -> Self {
        self.layers.tls = Some(tls.clone());
        self
    }

    /// Speaks MQTT over WebSocket there (subprotocol `mqtt`), and nothing else;
    /// with [`Listener::tls`], in whatever order, over secure WebSocket.
    #[cfg(feature = "websocket")]
    #[must_use]
    pub fn websocket(mut self, settings: crate::WebSocket) -> Self {
        self.layers.websocket = Some(Arc::new(settings));
        self
    }

    /// Gives it a name, by which it can be removed, and which access hooks
    /// see. Without this it is called as its address is, as in
    /// `tcp 127.0.0.1:1883`, `tls 127.0.0.1:8883`, `wss 127.0.0.1:8084`,
    /// `unix /run/mqtt.sock`, `memory`.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl From<std::net::TcpListener> for Listener {
    fn from(listener: std::net::TcpListener) -> Self {
        Self::tcp(listener)
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixListener> for Listener {
    fn from(listener: std::os::unix::net::UnixListener) -> Self {
        Self::unix_socket(listener)
    }
}

impl ListenerAddress {
    /// The address of a socket that has one.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) | Self::Memory => None,
        }
    }
}

impl std::fmt::Display for ListenerAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "tcp {address}"),
            Self::Unix(Some(path)) => write!(formatter, "unix {}", path.display()),
            Self::Unix(None) => formatter.write_str("unix"),
            Self::Memory => formatter.write_str("memory"),
        }
    }
}
