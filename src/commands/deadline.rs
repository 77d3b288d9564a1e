//! When a command is over. The server goes by the clock that nobody sets; the
//! wall clock is for what is told.

use std::time::{Duration, Instant};

/// The moment at which a command is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline(Instant);

impl Deadline {
    /// So long from now.
    pub(super) fn after(lifetime: Duration) -> Self {
        Self(Instant::now() + lifetime)
    }

    /// How long it is until then: nothing when it has passed.
    pub(super) fn left(self) -> Option<Duration> {
        Some(self.0.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }
}
