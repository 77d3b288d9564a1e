//! What lies between a listener's socket and MQTT, put on connection by
//! connection before anything is said in MQTT.

use std::sync::Arc;

use super::ListenerAddress;
use super::places::Place;
use crate::broker::Core;
use crate::threads::Peer;
use crate::transport::Transport;

/// The layers of a listener; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    #[cfg(feature = "tls")]
    pub(super) tls: Option<crate::Tls>,
}

impl Layers {
    /// Whether a connection begins with a TLS handshake.
    pub(super) fn has_handshake(&self) -> bool {
        #[cfg(feature = "tls")]
        let has_tls = self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let has_tls = false;
        has_tls
    }

    /// What a listener is called that was given no name.
    pub(super) fn name(&self, address: &ListenerAddress) -> Arc<str> {
        let address = address.to_string();
        if !self.has_handshake() {
            return address.into();
        }
        format!("tls {}", address.strip_prefix("tcp ").unwrap_or(&address)).into()
    }
}

/// Puts on what the listener has; nothing: the client did not come through.
pub(crate) async fn lay_over(
    core: &Core,
    socket: Arc<dyn Transport>,
    peer: &mut Peer,
    place: &mut Place,
) -> Option<Arc<dyn Transport>> {
    let layers = peer.layers.clone();
    let socket = layers.shake_hands(core, socket, peer).await?;
    place.has_shaken_hands();
    Some(socket)
}

impl Layers {
    /// The TLS handshake, if there is one, in the time that it has.
    #[cfg(feature = "tls")]
    async fn shake_hands(
        &self,
        core: &Core,
        socket: Arc<dyn Transport>,
        peer: &mut Peer,
    ) -> Option<Arc<dyn Transport>> {
        use crate::ClientCertificate;
        use crate::transport::TlsStream;

        let Some(tls) = &self.tls else { return Some(socket) };
        let handshake = TlsStream::accept(socket, tls.current());
        let failed = match tokio::time::timeout(core.options.handshake_timeout, handshake).await {
            Ok(Ok(stream)) => {
                let shown = stream.client_certificate();
                let certificate = shown.as_deref().map(ClientCertificate::from_der);
                if certificate != Some(None) {
                    peer.certificate = certificate.flatten().map(Arc::new);
                    return Some(Arc::new(stream));
                }
                "the client's certificate cannot be read".to_owned()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        core.counters.handshakes_failed.one();
        let Peer { address, listener, .. } = peer;
        tracing::debug!(%listener, ?address, error = %failed, "TLS handshake");
        None
    }

    #[cfg(not(feature = "tls"))]
    async fn shake_hands(
        &self,
        _: &Core,
        socket: Arc<dyn Transport>,
        _: &mut Peer,
    ) -> Option<Arc<dyn Transport>> {
        Some(socket)
    }
}
