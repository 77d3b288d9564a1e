//! The broker's clock: milliseconds since it started.

use std::time::SystemTime;

use tokio::time::Instant;

/// A moment, in milliseconds since the broker started. Sessions are given it
/// and never ask, so that tests can make it up.
pub type Time = u64;

/// Where the time comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    /// When that was, in Unix milliseconds.
    start_unix: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let start_unix =
            since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        Self { start: Instant::now(), start_unix }
    }

    /// One that begins at this Unix time, in ms.
    #[cfg(feature = "testing")]
    pub(crate) fn start_at(start_unix: u64) -> Self {
        Self { start: Instant::now(), start_unix }
    }

    pub(crate) fn now(&self) -> Time {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// When the broker started, in Unix milliseconds.
    pub(crate) fn started(&self) -> u64 {
        self.start_unix
    }

    /// A moment in Unix milliseconds, as it outlives this run.
    pub(crate) fn unix_of(&self, time: Time) -> u64 {
        self.start_unix.saturating_add(time)
    }

    /// A moment of this or an earlier run; what was before this one is 0.
    pub(crate) fn time_of(&self, unix: u64) -> Time {
        unix.saturating_sub(self.start_unix)
    }
}
