//! What lies between a listener's socket and MQTT, put on connection by
//! connection before anything is said in MQTT.

use std::sync::Arc;

use super::ListenerAddress;
use tokio::time::Instant;

use super::places::Place;
use crate::broker::Core;
use crate::threads::Peer;
use crate::transport::Transport;

/// The layers of a listener; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    #[cfg(feature = "tls")]
    pub(super) tls: Option<crate::Tls>,
    #[cfg(feature = "websocket")]
    pub(super) websocket: Option<Arc<crate::WebSocket>>,
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

    /// Whether the socket is what MQTT is spoken over.
    pub(crate) fn are_none(&self) -> bool {
        !(self.has_handshake() || self.has_websocket())
    }

    fn has_websocket(&self) -> bool {
        #[cfg(feature = "websocket")]
        let has_websocket = self.websocket.is_some();
        #[cfg(not(feature = "websocket"))]
        let has_websocket = false;
        has_websocket
    }

    /// What a listener is called that was given no name.
    pub(super) fn name(&self, address: &ListenerAddress) -> Arc<str> {
        let address = address.to_string();
        let spoken = match (self.has_handshake(), self.has_websocket()) {
            (false, false) => return address.into(),
            (true, false) => "tls",
            (false, true) => "ws",
            (true, true) => "wss",
        };
        format!("{spoken} {}", address.strip_prefix("tcp ").unwrap_or(&address)).into()
    }
}

/// Puts on what the listener has; gives also until when CONNECT has to be
/// said. Nothing: the client did not come through.
pub(crate) async fn lay_over(
    core: &Core,
    socket: Arc<dyn Transport>,
    peer: &mut Peer,
    place: &mut Place,
) -> Option<(Arc<dyn Transport>, Instant)> {
    let layers = peer.layers.clone();
    let socket = layers.shake_hands(core, socket, peer).await?;
    place.has_shaken_hands();
    let end = Instant::now() + core.options.connect_timeout;
    let socket = layers.upgrade(core, socket, peer, end).await?;
    Some((socket, end))
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
        let handshakes = tls.current();
        let handshake = TlsStream::accept(socket, &handshakes);
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

    /// The request that a WebSocket begins with, if there is one.
    #[cfg(feature = "websocket")]
    async fn upgrade(
        &self,
        core: &Core,
        socket: Arc<dyn Transport>,
        peer: &Peer,
        end: Instant,
    ) -> Option<Arc<dyn Transport>> {
        use crate::transport::WebSocketStream;

        let Some(settings) = &self.websocket else { return Some(socket) };
        let accepted = WebSocketStream::accept(socket, settings);
        let refused = match tokio::time::timeout_at(end, accepted).await {
            Ok(Ok(stream)) => return Some(Arc::new(stream)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        core.counters.upgrades_refused.one();
        let Peer { address, listener, .. } = peer;
        tracing::debug!(%listener, ?address, error = %refused, "WebSocket");
        None
    }

    #[cfg(not(feature = "websocket"))]
    async fn upgrade(
        &self,
        _: &Core,
        socket: Arc<dyn Transport>,
        _: &Peer,
        _: Instant,
    ) -> Option<Arc<dyn Transport>> {
        Some(socket)
    }
}
