//! How much each has had of an allowance, of so many of them and no more.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::time::{Duration, Instant};

/// So many at once, and then one each so often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    pub(super) at_once: u32,
    pub(super) each: Duration,
}

/// What each has had. Nothing is looked through as a whole: whoever is forgotten
/// next stands ahead.
///
/// When there are too many, those give way who would have been forgotten first:
/// they have had least. So somebody new is never refused because of others, and
/// who makes up ever new addresses pushes out their own, but none that has had
/// its fill.
pub(super) struct Tally {
    allowance: Allowance,
    most: usize,
    /// When all is forgotten that each has had.
    until: HashMap<u64, Instant>,
    /// The same, by that.
    order: BTreeSet<(Instant, u64)>,
    /// What one is counted by is no longer than this, whatever was sent, and
    /// nobody can choose it.
    hasher: RandomState,
}

impl Tally {
    pub(super) fn new(allowance: Allowance, most: usize) -> Self {
        let (until, order) = (HashMap::new(), BTreeSet::new());
        Self { allowance, most, until, order, hasher: RandomState::new() }
    }

    /// One more; it counts if there is no error.
    ///
    /// # Errors
    /// They have had enough, for so long.
    pub(super) fn take(&mut self, who: &impl Hash, now: Instant) -> Result<(), Duration> {
        match self.wait(self.hasher.hash_one(who), now) {
            Duration::ZERO => {
                self.add(who, now);
                Ok(())
            }
            wait => Err(wait),
        }
    }

    /// One more, whatever they have had.
    pub(super) fn add(&mut self, who: &impl Hash, now: Instant) {
        self.forget(now);
        let key = self.hasher.hash_one(who);
        let before = self.until.get(&key).copied();
        if before.is_none() && self.until.len() >= self.most {
            self.forget_first();
        }
        self.set(key, before.unwrap_or(now).max(now) + self.allowance.each);
    }

    /// Whether they have had enough.
    pub(super) fn is_full(&self, who: &impl Hash, now: Instant) -> bool {
        !self.wait(self.hasher.hash_one(who), now).is_zero()
    }

    /// One of theirs is not counted after all.
    pub(super) fn take_back(&mut self, who: &impl Hash) {
        let key = self.hasher.hash_one(who);
        let Some(until) = self.until.get(&key).copied() else { return };
        self.set(key, until.checked_sub(self.allowance.each).unwrap_or(until));
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.until.len()
    }

    /// How long it takes until they may have one more.
    fn wait(&self, key: u64, now: Instant) -> Duration {
        let Allowance { at_once, each } = self.allowance;
        let until = self.until.get(&key);
        let owed = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        owed.saturating_sub(each * at_once.saturating_sub(1))
    }

    fn set(&mut self, key: u64, until: Instant) {
        if let Some(before) = self.until.insert(key, until) {
            self.order.remove(&(before, key));
        }
        self.order.insert((until, key));
    }

    /// Forgets whoever has paid everything back.
    fn forget(&mut self, now: Instant) {
        while self.order.first().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, key)) = self.order.pop_first() {
            self.until.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: Duration = Duration::from_secs(10);

    fn tally(most: usize) -> Tally {
        Tally::new(Allowance { at_once: 3, each: EACH }, most)
    }

    #[test]
    fn so_many_at_once_and_then_one_each_so_often() {
        let (mut tally, now) = (tally(10), Instant::now());
        let taken = (0..10).filter(|_| tally.take(&"ada", now).is_ok()).count();
        assert_eq!(taken, 3);
        assert_eq!(tally.take(&"ada", now + EACH / 4), Err(EACH * 3 / 4));
        assert_eq!(tally.take(&"bob", now), Ok(()));
        assert_eq!(tally.take(&"ada", now + EACH), Ok(()));
        assert!(tally.is_full(&"ada", now + EACH));
        tally.take_back(&"ada");
        assert_eq!(tally.take(&"ada", now + EACH), Ok(()));
    }

    #[test]
    fn who_has_had_nothing_for_long_is_forgotten() {
        let (mut tally, now) = (tally(10), Instant::now());
        for who in 0..5 {
            tally.take(&who, now).ok();
        }
        assert_eq!(tally.len(), 5);
        tally.take(&"ada", now + EACH).ok();
        assert_eq!((tally.len(), tally.order.len()), (1, 1));
    }

    #[test]
    fn c17_one_too_many_is_judged_like_all_and_who_has_had_enough_is_not_forgotten_for_it() {
        let (mut tally, now) = (tally(100), Instant::now());
        while tally.take(&"evil", now).is_ok() {}
        for who in 0..1000 {
            assert_eq!(tally.take(&who, now), Ok(()), "{who}");
            assert!(tally.len() <= 100);
        }
        assert!(tally.is_full(&"evil", now));
        assert_eq!(tally.take(&"ada", now), Ok(()));
        assert_eq!(tally.order.len(), tally.until.len());
    }
}
