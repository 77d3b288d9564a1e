//! TLS: who a listener is, whom it lets in, and how that changes while it
//! listens.

mod config;
mod error;
mod pem;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;

pub use config::{ClientCertificates, TlsConfig};
pub use error::{TlsError, TlsProblem};

/// What a listener shows and asks for in the TLS handshake, for
/// [`Listener::tls`](crate::Listener::tls). Clones are the same: one that is
/// kept can [replace](Tls::replace) the certificates while the listener serves.
#[derive(Clone)]
pub struct Tls {
    current: Arc<ArcSwap<ServerConfig>>,
}

impl Tls {
    /// Begins with this.
    pub fn new(config: TlsConfig) -> Self {
        Self { current: Arc::new(ArcSwap::new(config.build())) }
    }

    /// Handshakes that begin from now on go by this; connections that there
    /// are stay as they are. That a file is bad is found before, when the
    /// [`TlsConfig`] is made: what counted until then still counts.
    pub fn replace(&self, config: TlsConfig) {
        self.current.store(config.build());
    }

    /// What counts for a handshake that begins now.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tls").finish_non_exhaustive()
    }
}
