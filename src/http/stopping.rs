//! What a request that waits needs to know of the stop.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long an answer may take on its way.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Ends long waits when the server stops, in time for their answers.
#[derive(Debug, Clone)]
pub(super) struct Stopping {
    shutdown: CancellationToken,
    grace: Duration,
}

impl Stopping {
    /// `patience` is how long the stop waits for answers.
    pub(super) fn new(shutdown: CancellationToken, patience: Duration) -> Self {
        // The most of it is for the devices, the rest for the answer's way.
        Self { shutdown, grace: patience - LAST_WORDS.min(patience / 4) }
    }

    /// Returns when the server begins to stop.
    pub(super) async fn begun(&self) {
        self.shutdown.cancelled().await;
    }

    /// Whether the server stops.
    pub(super) fn has_begun(&self) -> bool {
        self.shutdown.is_cancelled()
    }

    /// Returns when a request must answer with what it has.
    pub(super) async fn hurry(&self) {
        self.shutdown.cancelled().await;
        tokio::time::sleep(self.grace).await;
    }
}
