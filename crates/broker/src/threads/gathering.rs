//! A thread whose client sends one message after the other, each in a packet of
//! its own, is ready again before the next one is there: each costs a wait, a
//! read and a write. Where it sleeps for a moment, many come together, and cost
//! that once. Only who sends without waiting for answers sends meanwhile: so it
//! is tried, and done for as long as it brings something.

use std::time::{Duration, Instant};

use super::parking::Round;

/// For how long it sleeps. The system adds to it: 50 µs with Linux.
pub(super) const PAUSE: Duration = Duration::from_micros(20);

/// More than this in a round is much, and not one by one.
const LITTLE: (usize, usize) = (2, 4096);

/// Beyond this, as much comes together while the thread works.
const SHORT: Duration = Duration::from_micros(50);
const LONG: Duration = Duration::from_micros(200);

/// What a round of another kind takes from the score, to which one with little
/// of one client adds 1; how far the score goes, and from where on it is tried.
const OTHER: u32 = 4;
const MOST: u32 = 32;
const ENOUGH: u32 = 16;

/// A read is to bring so many times as much.
const GAIN: usize = 4;

/// How long it is not tried again when it has brought nothing: for who waits
/// for an answer, it is one message in many that waits.
const REST: Duration = Duration::from_millis(100);

/// Whether a thread gathers.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    phase: Phase,
    score: u32,
    /// The least that a read brought since the score was 0.
    least: usize,
    rests_until: Option<Instant>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Watches,
    /// It has slept for the first time.
    Tries,
    Gathers,
}

impl Gathering {
    /// Whether to sleep now, after this.
    pub(super) fn is_worth_it(&mut self, round: &Round, now: Instant) -> bool {
        let each = round.came.bytes / round.came.reads.max(1);
        let phase = std::mem::take(&mut self.phase);
        if phase == Phase::Watches {
            self.watch(round, each);
            if self.score < ENOUGH || self.rests_until.is_some_and(|until| now < until) {
                return false;
            }
            self.phase = Phase::Tries;
            return true;
        }
        let brings = each >= GAIN * self.least;
        if brings && round.work < LONG {
            self.phase = Phase::Gathers;
            return true;
        }
        self.score = 0;
        if phase == Phase::Tries && !brings {
            self.rests_until = Some(now + REST);
        }
        false
    }

    fn watch(&mut self, round: &Round, each: usize) {
        let Round { came, wait, work } = *round;
        let (reads, bytes) = LITTLE;
        let is_little = came.reads <= reads && came.bytes <= bytes && !came.changes;
        self.least = if self.score == 0 { each } else { self.least.min(each) };
        if is_little && wait < work && work < SHORT {
            self.score = MOST.min(self.score + 1);
        } else {
            self.score = self.score.saturating_sub(OTHER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::parking::Came;

    /// A round in which so much of one client came at once, in one read.
    fn round(bytes: usize, work: Duration) -> Round {
        let came = Came::nothing_since(1).and(1, bytes);
        Round { came, wait: Duration::ZERO, work }
    }

    fn little() -> Round {
        round(80, Duration::from_micros(4))
    }

    fn much() -> Round {
        round(80 * GAIN, Duration::from_micros(30))
    }

    /// How many rounds with little come before it tries.
    fn until_it_tries(gathering: &mut Gathering, now: Instant) -> Option<usize> {
        (1..=1000).find(|_| gathering.is_worth_it(&little(), now))
    }

    #[test]
    fn it_goes_on_for_as_long_as_it_brings_something() {
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        assert_eq!(until_it_tries(&mut gathering, now), Some(ENOUGH as usize));
        assert!((0..100).all(|_| gathering.is_worth_it(&much(), now)));
        assert!(!gathering.is_worth_it(&little(), now));
        // It has brought something before: it is tried again soon.
        assert_eq!(until_it_tries(&mut gathering, now), Some(ENOUGH as usize));
    }

    #[test]
    fn where_it_brings_nothing_it_is_seldom_tried() {
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        assert!(until_it_tries(&mut gathering, now).is_some());
        assert!(!gathering.is_worth_it(&little(), now));
        assert_eq!(until_it_tries(&mut gathering, now), None);
        assert_eq!(until_it_tries(&mut gathering, now + REST), Some(1));
    }

    #[test]
    fn who_has_much_to_do_does_not_sleep() {
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        assert!(until_it_tries(&mut gathering, now).is_some());
        assert!(!gathering.is_worth_it(&round(80 * GAIN, LONG), now));
        let busy = round(80, SHORT);
        assert!(!(0..1000).any(|_| gathering.is_worth_it(&busy, now)));
    }

    #[test]
    fn what_comes_of_several_or_together_is_not_waited_for() {
        let now = Instant::now();
        let in_turn = |number: u64| Round {
            came: Came::nothing_since(number % 2).and(1 - number % 2, 80),
            ..little()
        };
        let mut gathering = Gathering::default();
        assert!(!(0..1000).any(|number| gathering.is_worth_it(&in_turn(number), now)));
        let together = round(LITTLE.1 + 1, Duration::from_micros(4));
        assert!(!(0..1000).any(|_| gathering.is_worth_it(&together, now)));
        let thrice = Came::nothing_since(1).and(1, 80).and(1, 80).and(1, 80);
        let thrice = Round { came: thrice, ..little() };
        assert!(!(0..1000).any(|_| gathering.is_worth_it(&thrice, now)));
        let late = Round { wait: Duration::from_micros(4), ..little() };
        assert!(!(0..1000).any(|_| gathering.is_worth_it(&late, now)));
    }
}
