//! TLS: who a listener is, whom it lets in, and how that changes while it
//! listens.

mod config;
mod error;
mod pem;
mod preference;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use config::{ClientCertificates, TlsConfig};
pub use error::{TlsError, TlsProblem};
pub(crate) use preference::Handshakes;

/// What a listener shows and asks for in the TLS handshake, for
/// [`Listener::tls`](crate::Listener::tls). Clones are the same: one that is
/// kept can [replace](Tls::replace) the certificates while the listener serves.
#[derive(Clone)]
pub struct Tls {
    current: Arc<ArcSwap<Handshakes>>,
}

impl Tls {
    /// Begins with this.
    pub fn new(config: TlsConfig) -> Self {
        Self { current: Arc::new(ArcSwap::from_pointee(config.build())) }
    }

    /// Handshakes that begin from now on go by this; connections that there
    /// are stay as they are. That a file is bad is found before, when the
    /// [`TlsConfig`] is made: what counted until then still counts.
    pub fn replace(&self, config: TlsConfig) {
        self.current.store(Arc::new(config.build()));
    }

    /// What counts for a handshake that begins now.
    pub(crate) fn current(&self) -> Arc<Handshakes> {
        self.current.load_full()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tls").finish_non_exhaustive()
    }
}
