//! When a command is over. The server goes by the clock that nobody sets; the
//! wall clock is for what is told.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The moment at which a command is over, as the time since the machine
/// started. While the machine sleeps this goes on, as the device's time does:
/// what waited then is over when it wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline(Duration);

impl Deadline {
    /// So long from now.
    pub(super) fn after(lifetime: Duration) -> Self {
        Self(now() + lifetime)
    }

    /// How long ago it was made, with this lifetime.
    pub(super) fn since(self, lifetime: Duration) -> Duration {
        (now() + lifetime).saturating_sub(self.0)
    }

    /// How long it is until then: nothing when it has passed.
    pub(super) fn left(self) -> Option<Duration> {
        Some(self.0.saturating_sub(now())).filter(|left| !left.is_zero())
    }
}

#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;

#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

fn now() -> Duration {
    // Neither part is ever negative.
    let now = clock_gettime(CLOCK);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_nearer_and_passes() {
        let long = Deadline::after(Duration::from_secs(60));
        assert!(long.left().is_some_and(|left| left <= Duration::from_secs(60)));
        assert_eq!(Deadline::after(Duration::ZERO).left(), None);
    }
}
