//! How often something may happen, for each key that it happens to.

use std::collections::HashMap;
use std::hash::Hash;

use crate::Time;

/// How many keys are kept. Where as many are all in use, further ones are not
/// held back: it is their number that is the trouble then, and what holds for
/// all of them together that helps.
const MOST: usize = 64 * 1024;

/// How often those are looked for that are not in use any more, in ms.
const SWEEP: Time = 1000;

/// A number of times within a period, for each key: as many may come at once,
/// and then as many as the period has room for (a leaky bucket).
#[derive(Debug)]
pub(super) struct Pace<K> {
    /// How long one takes, in µs.
    each: u64,
    /// How much may be ahead, in µs.
    room: u64,
    /// Until when each key has used what it has, in µs.
    used: HashMap<K, u64>,
    swept: Time,
}

impl<K: Hash + Eq> Pace<K> {
    /// So many times per period, in ms.
    pub(super) fn new(times: u64, period: Time) -> Self {
        let room = period.saturating_mul(1000);
        Self { each: (room / times.max(1)).max(1), room, used: HashMap::new(), swept: 0 }
    }

    /// Counts one more, if it may be.
    pub(super) fn allows(&mut self, key: K, now: Time) -> bool {
        let micros = now.saturating_mul(1000);
        let known = self.used.get_mut(&key);
        if known.is_none() && self.used.len() >= MOST && !self.make_room(now) {
            return true;
        }
        let used = self.used.entry(key).or_insert(0);
        let next = (*used).max(micros).saturating_add(self.each);
        let is_allowed = next - micros <= self.room;
        if is_allowed {
            *used = next;
        }
        is_allowed
    }

    /// Forgets what was counted for a key.
    pub(super) fn forget(&mut self, key: &K) {
        self.used.remove(key);
    }

    fn make_room(&mut self, now: Time) -> bool {
        if now.saturating_sub(self.swept) < SWEEP {
            return false;
        }
        self.swept = now;
        self.used.retain(|_, used| *used > now.saturating_mul(1000));
        self.used.shrink_to(MOST / 2);
        self.used.len() < MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_there_may_be_come_at_once_and_then_one_after_the_other() {
        let mut pace = Pace::new(10, 1000);
        let count = |pace: &mut Pace<u8>, key: u8, now: Time| {
            (0..100).filter(|_| pace.allows(key, now)).count()
        };
        assert_eq!(count(&mut pace, 1, 5000), 10);
        assert_eq!(count(&mut pace, 2, 5000), 10);
        assert_eq!(count(&mut pace, 1, 5099), 0);
        assert_eq!(count(&mut pace, 1, 5100), 1);
        assert_eq!(count(&mut pace, 1, 5350), 2);
        assert_eq!(count(&mut pace, 1, 60_000), 10);
        pace.forget(&1);
        assert_eq!(count(&mut pace, 1, 60_000), 10);
    }

    #[test]
    fn many_times_within_a_millisecond_are_counted() {
        let mut pace = Pace::new(100_000, 1000);
        assert_eq!((0..200_000).filter(|_| pace.allows((), 1)).count(), 100_000);
        assert_eq!((0..200_000).filter(|_| pace.allows((), 2)).count(), 100);
    }

    #[test]
    fn keys_without_number_take_no_memory_without_bound() {
        let mut pace = Pace::new(1, 1000);
        for key in 0..3 * MOST {
            assert!(pace.allows(key, 5000));
        }
        assert_eq!(pace.used.len(), MOST);
        // Those that are kept are held back, also while it is full.
        assert!(!pace.allows(7, 5500));
        assert!(pace.allows(4 * MOST, 5500));
        assert_eq!(pace.used.len(), MOST);
        // Those that are not in use any more make room.
        assert!(pace.allows(5 * MOST, 7000));
        assert_eq!(pace.used.len(), 1);
    }
}
