//! How long things take, sorted into buckets; only where that is wanted
//! ([`Options::measure_latency`](crate::Options::measure_latency)).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets but the last, in seconds.
const BOUNDS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// What is measured.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// From a connection's coming to its CONNACK.
    pub(crate) connect: Latency,
    /// From a message's being read to its being handed to its receivers'
    /// sockets, as far as they take it; what waits for a commit to the store goes
    /// on later, and that is not in here.
    pub(crate) publish: Latency,
    /// Of a commit to the store.
    pub(crate) commit: Latency,
}

/// How long one thing took, how often.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

/// The same at one moment.
#[cfg(any(feature = "metrics", test))]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Distribution {
    /// Upper bounds in seconds, the last one infinite, and how often it took
    /// longer than the bound before and no longer than this one.
    pub(crate) buckets: Vec<(f64, u64)>,
    /// All of it together, in seconds.
    pub(crate) sum: f64,
}

impl Latency {
    /// It took so long, this often.
    pub(crate) fn note(&self, took: Duration, times: u64) {
        let seconds = took.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(times, Ordering::Relaxed);
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds.saturating_mul(times), Ordering::Relaxed);
    }

    #[cfg(any(feature = "metrics", test))]
    pub(crate) fn get(&self) -> Distribution {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let sum = self.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
        Distribution { buckets: bounds.zip(counts).collect(), sum }
    }
}

#[cfg(any(feature = "metrics", test))]
impl Distribution {
    /// How often it was noted.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_as_long_as_a_bound_is_within_it() {
        let latency = Latency::default();
        latency.note(Duration::from_millis(1), 2);
        latency.note(Duration::from_micros(1001), 1);
        latency.note(Duration::from_secs(60), 1);
        let distribution = latency.get();
        let filled: Vec<_> =
            distribution.buckets.iter().copied().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.001, 2), (0.0025, 1), (f64::INFINITY, 1)]);
        assert_eq!(distribution.count(), 4);
        assert!((distribution.sum - 60.003_001).abs() < 1e-9, "{distribution:?}");
    }
}
