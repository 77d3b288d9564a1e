//! Accepting, whatever the kind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::layers::Layers;
use super::places::Places;
use super::source::Acceptor;
use crate::broker::Core;
use crate::threads::{Accepted, Hands, Peer};

/// How long to wait after an error that is not one connection's own, such as
/// too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What accepting needs.
pub(super) struct Accepting {
    pub(super) core: Arc<Core>,
    pub(super) name: Arc<str>,
    pub(super) layers: Layers,
    pub(super) hands: Hands,
    pub(super) places: Arc<Places>,
    pub(super) stop: CancellationToken,
}

impl Accepting {
    /// Accepts until it is stopped; survives every error.
    pub(super) async fn run(self, mut acceptor: Acceptor) {
        let Self { core, name, layers, hands, places, stop } = self;
        loop {
            let accepted = tokio::select! {
                accepted = acceptor.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let (socket, address) = match accepted {
                Ok(Some(accepted)) => accepted,
                // Nobody can connect any more; it stays until it is removed.
                Ok(None) => return stop.cancelled().await,
                Err(error) => {
                    tracing::warn!(listener = %name, %error, "accept a connection");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            if let Some(place) = places.take(&core, address, layers.has_handshake()) {
                let (listener, layers) = (name.clone(), layers.clone());
                let accepted_at = Instant::now();
                let peer = Peer { address, accepted_at, listener, layers, certificate: None };
                hands.give(Accepted { socket, peer, place });
            }
        }
    }
}
