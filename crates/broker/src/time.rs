//! The broker's clock: milliseconds since it started.

use std::time::Instant;

/// A moment, in milliseconds since the broker started. Sessions are given it
/// and never ask, so that tests can make it up.
pub type Time = u64;

/// Where the time comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Time {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
