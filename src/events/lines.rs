//! How many lines of the record somebody may have: some in reserve, and one
//! more now and then.

use std::time::{Duration, Instant};

/// How many lines there are in reserve, and how long one takes to be there
/// again.
pub(super) const RESERVE: u32 = 50;
const LINE_EVERY: Duration = Duration::from_secs(60);

/// The lines that somebody has left.
pub(super) struct Lines {
    left: u32,
    since: Instant,
}

impl Lines {
    /// All of them.
    pub(super) fn new(now: Instant) -> Self {
        Self { left: RESERVE, since: now }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let left = self.at(now);
        if left == RESERVE || left > self.left {
            self.since = now;
        }
        self.left = left.saturating_sub(1);
        left > 0
    }

    /// Whether none is missing.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.at(now) >= RESERVE
    }

    /// Whether there is one.
    pub(super) fn has_one(&self, now: Instant) -> bool {
        self.at(now) > 0
    }

    /// How many there are by now.
    fn at(&self, now: Instant) -> u32 {
        let more = now.duration_since(self.since).as_secs() / LINE_EVERY.as_secs();
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        self.left.saturating_add(more).min(RESERVE)
    }
}
