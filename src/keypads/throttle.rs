//! How many wrong codes are too many: by keypad, wherever it asks from, and for
//! all of them together, lest somebody go from one to the next.
//!
//! A right code takes nothing back: a guest who knows one would else begin anew
//! with it after every four guesses. Wrong ones are forgotten by time alone. A
//! restart forgets them all.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// What one keypad may do, and what all of them together.
const ONE: Allowance = Allowance { wrong: 5, forgotten_after: Duration::from_secs(60 * 60) };
const ALL: Allowance = Allowance { wrong: 20, forgotten_after: Duration::from_secs(10 * 60) };

/// How long the first pause is; each one after it is twice as long, up to the
/// longest.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// How long somebody waits who comes while the last attempt before the limit is
/// being looked at.
const MOMENT: Duration = Duration::from_secs(1);

/// How many are remembered; those that need no remembering are forgotten first.
const REMEMBERED: usize = 10_000;

#[derive(Clone, Copy)]
struct Allowance {
    /// With so many wrong ones begins a pause.
    wrong: u32,
    /// How long it takes until one of them is forgotten.
    forgotten_after: Duration,
}

/// The wrong codes.
#[derive(Default)]
pub(super) struct Throttle {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: Count,
    by_keypad: HashMap<String, Count>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    /// When all is forgotten.
    until: Option<Instant>,
    /// When the pause is over.
    paused: Option<Instant>,
    /// How many codes are being looked at.
    open: u32,
}

/// Too many codes were wrong: for so long none is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paused {
    /// For so long.
    pub left: Duration,
}

/// A code that is being looked at.
pub(super) struct Attempt<'a> {
    throttle: &'a Throttle,
    keypad: String,
}

/// A limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    /// So many codes were wrong lately.
    pub(super) wrong: u32,
    /// For so long none is looked at.
    pub(super) pause: Duration,
    /// At any keypad, and not at this one alone.
    pub(super) everywhere: bool,
}

impl Throttle {
    /// Somebody shows a code at this keypad.
    pub(super) fn begin(&self, keypad: &str) -> Result<Attempt<'_>, Paused> {
        self.begin_at(keypad, Instant::now())
    }

    fn begin_at(&self, keypad: &str, now: Instant) -> Result<Attempt<'_>, Paused> {
        let mut counts = self.counts.lock();
        let Counts { all, by_keypad } = &mut *counts;
        if by_keypad.len() >= REMEMBERED {
            by_keypad.retain(|_, count| count.matters(now));
        }
        let one = by_keypad.entry(keypad.to_owned()).or_default();
        one.may_begin(ONE, now)?;
        all.may_begin(ALL, now)?;
        one.open += 1;
        all.open += 1;
        drop(counts);
        Ok(Attempt { throttle: self, keypad: keypad.to_owned() })
    }
}

impl Attempt<'_> {
    /// It was wrong.
    pub(super) fn fail(self) -> Option<Reached> {
        self.fail_at(Instant::now())
    }

    fn fail_at(self, now: Instant) -> Option<Reached> {
        let mut counts = self.throttle.counts.lock();
        let Counts { all, by_keypad } = &mut *counts;
        let everywhere = all.fail(ALL, now);
        let here = by_keypad.entry(self.keypad.clone()).or_default().fail(ONE, now);
        let reached = |everywhere| move |(wrong, pause)| Reached { wrong, pause, everywhere };
        everywhere.map(reached(true)).or_else(|| here.map(reached(false)))
    }
}

/// It has been looked at.
impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut counts = self.throttle.counts.lock();
        counts.all.open -= 1;
        if let Some(count) = counts.by_keypad.get_mut(&self.keypad) {
            count.open -= 1;
        }
    }
}

impl Count {
    fn wrong(&self, allowance: Allowance, now: Instant) -> u32 {
        let left = self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let wrong = left.as_nanos().div_ceil(allowance.forgotten_after.as_nanos());
        u32::try_from(wrong).unwrap_or(u32::MAX)
    }

    fn may_begin(&self, allowance: Allowance, now: Instant) -> Result<(), Paused> {
        if let Some(paused) = self.paused.filter(|paused| *paused > now) {
            return Err(Paused { left: paused.duration_since(now) });
        }
        // Were all those wrong that are being looked at, there are no more than
        // may be; and beyond the limit it goes one by one.
        let room = allowance.wrong.saturating_sub(self.wrong(allowance, now)).max(1);
        if self.open < room { Ok(()) } else { Err(Paused { left: MOMENT }) }
    }

    fn fail(&mut self, allowance: Allowance, now: Instant) -> Option<(u32, Duration)> {
        let until = self.until.filter(|until| *until > now).unwrap_or(now);
        self.until = Some(until + allowance.forgotten_after);
        let wrong = self.wrong(allowance, now);
        let beyond = wrong.checked_sub(allowance.wrong)?;
        let pause = FIRST_PAUSE * 2_u32.pow(beyond.min(10));
        let pause = pause.min(LONGEST_PAUSE);
        self.paused = Some(now + pause);
        Some((wrong, pause))
    }

    fn matters(&self, now: Instant) -> bool {
        self.open > 0 || self.until.is_some_and(|until| until > now)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fail(throttle: &Throttle, keypad: &str, now: Instant) -> Result<Option<Reached>, Paused> {
        Ok(throttle.begin_at(keypad, now)?.fail_at(now))
    }

    #[test]
    fn c22_the_fifth_wrong_code_begins_a_pause_and_each_one_after_it_a_longer_one() {
        let (throttle, mut now) = (Throttle::default(), Instant::now());
        for _ in 0..4 {
            assert_eq!(fail(&throttle, "front", now), Ok(None));
        }
        let reached = fail(&throttle, "front", now).unwrap().unwrap();
        assert_eq!(reached, Reached { wrong: 5, pause: FIRST_PAUSE, everywhere: false });
        assert_eq!(throttle.begin_at("front", now).err(), Some(Paused { left: FIRST_PAUSE }));
        assert!(throttle.begin_at("back", now).is_ok());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            now = throttle.counts.lock().by_keypad["front"].paused.unwrap();
            let reached = fail(&throttle, "front", now).unwrap();
            pauses.push(reached.map(|reached| reached.pause.as_secs() / 60));
        }
        let minutes = [2, 4, 8, 16, 32, 32, 60, 60].map(Some);
        assert_eq!(pauses, minutes);
    }

    #[test]
    fn c22_a_right_code_takes_no_wrong_one_back_and_time_does() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..4 {
            assert_eq!(fail(&throttle, "front", now), Ok(None));
            drop(throttle.begin_at("front", now).unwrap());
        }
        assert!(fail(&throttle, "front", now).unwrap().is_some());
        let later = now + ONE.forgotten_after * 5;
        for _ in 0..4 {
            assert_eq!(fail(&throttle, "front", later), Ok(None));
        }
    }

    #[test]
    fn c22_who_goes_from_keypad_to_keypad_is_stopped_at_all_of_them() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let reached = (0..ALL.wrong).map(|n| fail(&throttle, &n.to_string(), now).unwrap());
        let reached = reached.last().unwrap().unwrap();
        assert_eq!((reached.wrong, reached.everywhere), (ALL.wrong, true));
        assert!(throttle.begin_at("another", now).is_err());
    }

    #[test]
    fn c22_many_at_once_are_no_more_than_one_after_the_other() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let open: Vec<_> = (0..100).filter_map(|_| throttle.begin_at("front", now).ok()).collect();
        assert_eq!(open.len(), 5);
        let reached = open.into_iter().filter_map(|attempt| attempt.fail_at(now));
        assert_eq!(reached.count(), 1);
        // Then one by one.
        let later = now + FIRST_PAUSE;
        let one = throttle.begin_at("front", later).unwrap();
        assert_eq!(throttle.begin_at("front", later).err(), Some(Paused { left: MOMENT }));
        assert!(one.fail_at(later).is_some());
        assert_eq!(throttle.counts.lock().all.open, 0);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for keypad in 0..REMEMBERED + 10 {
            drop(throttle.begin_at(&keypad.to_string(), now));
        }
        assert!(throttle.counts.lock().by_keypad.len() <= REMEMBERED);
    }
}
