//! How long to wait before the next attempt to connect.
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// Waits that double from `first` to `longest`, each shortened by a random part of up to one half,
/// so that devices that lost their server together do not all return in the same moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
    random: RandomState,
}

impl Backoff {
    /// Waits between about `first` and `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempts: 0, random: RandomState::new() }
    }

    /// The wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1_u32 << self.attempts.min(20));
        let whole = doubled.min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        let draw = self.random.hash_one(self.attempts) as u32;
        whole.mul_f64(1.0 - 0.5 * f64::from(draw) / f64::from(u32::MAX))
    }

    /// Starts again with `first`, after a connection that worked.
    pub fn reset(&mut self) {
        self.attempts = 0;
        // Another key, else the same waits would come again.
        self.random = RandomState::new();
    }
}

impl Default for Backoff {
    /// From half a second to half a minute.
    fn default() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_keep_at_least_half() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(6));
        for whole in [1, 2, 4, 6, 6].map(Duration::from_secs) {
            let wait = backoff.next_wait();
            assert!(wait <= whole && wait >= whole / 2, "{wait:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_secs(1));
    }

    #[test]
    fn a_long_row_of_failures_neither_overflows_nor_exceeds_the_longest() {
        let mut backoff = Backoff::default();
        assert!((0..100).all(|_| backoff.next_wait() <= Duration::from_secs(30)));
    }

    #[test]
    fn two_clients_draw_different_waits() {
        let (mut one, mut other) = (Backoff::default(), Backoff::default());
        assert!((0..8).any(|_| one.next_wait() != other.next_wait()));
    }
}
