//! Plain TCP.

use std::sync::Arc;
use std::time::Duration;

use super::Places;
use crate::broker::Core;
use crate::threads::{Accepted, Hands};

/// How long to wait after an error that is not one connection's own, such as
/// too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the broker stops; survives every error.
pub(super) async fn accept(
    core: Arc<Core>,
    listener: std::net::TcpListener,
    hands: Hands,
    places: Arc<Places>,
) {
    let listener =
        listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "listen"),
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = core.stop.cancelled() => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(place) = places.take(&core, address.ip()) else { continue };
        // Without it, a small packet waits for the acknowledgement of the one before.
        let stream = stream.set_nodelay(true).and_then(|()| stream.into_std());
        match stream {
            Ok(stream) => hands.give(Accepted { stream, address, place }),
            Err(error) => tracing::debug!(%error, "set a connection up"),
        }
    }
}
