//! What a request that waits needs to know of the stop.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Ends long waits when the server stops, in time for their answers.
#[derive(Debug, Clone)]
pub(super) struct Stopping {
    shutdown: CancellationToken,
    grace: Duration,
}

impl Stopping {
    /// `patience` is how long the stop waits for answers.
    pub(super) fn new(shutdown: CancellationToken, patience: Duration) -> Self {
        // Half of it for the devices, the other half for the answer's way.
        Self { shutdown, grace: patience / 2 }
    }

    /// Returns when a request must answer with what it has.
    pub(super) async fn hurry(&self) {
        self.shutdown.cancelled().await;
        tokio::time::sleep(self.grace).await;
    }
}
