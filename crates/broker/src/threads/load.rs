//! How much a thread does: the part of a core that it took lately.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::parking;

/// A whole core.
pub(super) const WHOLE: u32 = 1000;

/// A thread that does less has time for more connections.
pub(super) const HALF: u32 = WHOLE / 2;

/// A thread that does more may be what its clients wait for.
pub(super) const FULL: u32 = WHOLE / 8 * 7;

/// What a thread did at the last look, in parts of [`WHOLE`].
#[derive(Debug, Default)]
pub(super) struct Load(AtomicU32);

impl Load {
    pub(super) fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, load: u32) {
        self.0.store(load, Ordering::Relaxed);
    }
}

/// Finds out what the thread does that it is asked on.
#[derive(Debug)]
pub(super) struct Meter {
    at: Instant,
    took: Duration,
}

impl Meter {
    pub(super) fn start() -> Self {
        let took = time_of_this_thread().saturating_sub(parking::time_spent());
        Self { at: Instant::now(), took }
    }

    /// What it did since the last time. That it looked for more is nothing done.
    pub(super) fn read(&mut self) -> u32 {
        let now = Self::start();
        let (took, passed) = (now.took.saturating_sub(self.took), now.at - self.at);
        *self = now;
        let parts = took.as_nanos() * u128::from(WHOLE) / passed.as_nanos().max(1);
        u32::try_from(parts).unwrap_or(WHOLE).min(WHOLE)
    }
}

/// The processor time that this thread has taken. Time in which it could run
/// and others did is not its own: another thread would have no more of it.
#[cfg(target_os = "linux")]
fn time_of_this_thread() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// How long its runtime did not wait: as near as it can be known here.
#[cfg(not(target_os = "linux"))]
fn time_of_this_thread() -> Duration {
    tokio::runtime::Handle::current().metrics().worker_total_busy_duration(0)
}

/// Finds out whether a core has nothing to do.
#[derive(Debug)]
pub(super) struct IdleCores {
    at: Instant,
    idle: Option<Duration>,
}

impl IdleCores {
    pub(super) fn start() -> Self {
        Self { at: Instant::now(), idle: idle_time() }
    }

    /// Whether at least this part of a core had nothing to do since the last
    /// time; yes, where that cannot be known.
    pub(super) fn were_there(&mut self, part: u32) -> bool {
        let now = Self::start();
        let before = std::mem::replace(self, now);
        let (Some(idle_before), Some(idle)) = (before.idle, self.idle) else { return true };
        idle.saturating_sub(idle_before) >= (self.at - before.at) * part / WHOLE
    }

    /// For how long it is looked at.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.at)
    }
}

/// The time that all cores together had nothing to do, as /proc/stat has it:
/// the fourth and fifth figure of its first line, in 1/100 s.
#[cfg(target_os = "linux")]
fn idle_time() -> Option<Duration> {
    let all = std::fs::read_to_string("/proc/stat").ok()?;
    let figures = all.lines().next()?.split_whitespace().skip(4).take(2);
    let ticks: u64 = figures.map(|figure| figure.parse().unwrap_or(0)).sum();
    Some(Duration::from_millis(ticks.saturating_mul(10)))
}

#[cfg(not(target_os = "linux"))]
fn idle_time() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_has_a_load() {
        let mut meter = Meter::start();
        let end = Instant::now() + Duration::from_millis(20);
        while Instant::now() < end {}
        assert!((1..=WHOLE).contains(&meter.read()));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_says_how_long_its_cores_were_idle() {
        assert!(idle_time().is_some());
    }
}
