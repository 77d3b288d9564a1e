//! A thread whose client sends one message after the other, each in a packet of
//! its own, is ready again before the next one is there: each costs a wait, a
//! read and a write. Where it sleeps for a moment, many come together, and cost
//! that once, as it is with the interrupts of network cards. But who waits for
//! answers would only wait longer: so it is tried, and done for as long as reads
//! bring more and no less comes in the same time.

use std::time::{Duration, Instant};

use super::parking::{LITTLE, Round};

/// For how long it sleeps. The system adds to it: 50 µs with Linux.
pub(super) const PAUSE: Duration = Duration::from_micros(20);

/// Work of a round that is no more one by one; from `LONG` on, as much comes
/// together while the thread works. A sleep that takes so long is none of ours.
const SHORT: Duration = Duration::from_micros(50);
const LONG: Duration = Duration::from_micros(200);

/// What a round of another kind takes from the score, to which one with little
/// of one client adds 1; how far the score goes, and from where on it is tried.
const OTHER: u32 = 4;
const MOST: u32 = 32;
const ENOUGH: u32 = 16;

/// A read is to bring so many times as much on the average.
const GAIN: usize = 2;

/// Of this many rounds together it is looked what they have brought.
const BLOCK: u32 = 8;

/// After so many of them, the first included, it has proven to be worth it.
const PROVEN: u32 = 2;

/// What is known of more rounds than this is forgotten.
const OLD: u32 = 1024;

/// How long it is not tried again when it was not worth it: for who waits for
/// answers, these are some messages of many.
const REST: Duration = Duration::from_millis(100);

/// Whether a thread does so.
#[derive(Debug, Default)]
pub(super) struct Coalescing {
    score: u32,
    /// What came while it did not.
    before: Sum,
    /// What came while it did, and was not looked at yet.
    block: Option<Block>,
    rests_until: Option<Instant>,
}

/// Rounds together.
#[derive(Debug, Default)]
struct Sum {
    rounds: u32,
    reads: usize,
    bytes: usize,
    time: Duration,
}

/// Rounds of which it is looked together what they have brought.
#[derive(Debug, Default)]
struct Block {
    sum: Sum,
    /// How many were worth it before this one.
    good: u32,
}

impl Block {
    /// The first one is of one round: how much comes in a time it does not say.
    fn is_trial(&self) -> bool {
        self.good == 0
    }
}

impl Sum {
    fn add(&mut self, round: &Round) {
        self.rounds += 1;
        self.reads += round.came.reads;
        self.bytes += round.came.bytes;
        self.time += round.wait + round.work;
    }

    fn bytes_of_a_read(&self) -> usize {
        self.bytes / self.reads.max(1)
    }

    /// Whether about as much came in the same time; an eighth is noise.
    fn is_no_slower_than(&self, other: &Self) -> bool {
        let (own, others) = (self.bytes as u128, other.bytes as u128);
        own * other.time.as_nanos() * 8 >= others * self.time.as_nanos() * 7
    }
}

impl Coalescing {
    /// Whether to sleep now, after this.
    pub(super) fn is_worth_it(&mut self, round: &Round, now: Instant) -> bool {
        let Some(mut block) = self.block.take() else {
            self.watch(round);
            let rests = self.rests_until.is_some_and(|until| now < until);
            let is_tried = self.score >= ENOUGH && self.before.rounds >= ENOUGH && !rests;
            self.block = is_tried.then(Block::default);
            return is_tried;
        };
        block.sum.add(round);
        if round.work >= LONG || round.came.bytes > LITTLE * round.came.reads {
            // What comes together by itself is not slept for.
            self.end();
            return false;
        }
        if block.is_trial() || block.sum.rounds == BLOCK {
            if round.wait >= LONG || !self.is_won_by(&block) {
                self.end();
                // What was worth it before may be so soon again.
                self.rests_until = (block.good < PROVEN).then(|| now + REST);
                return false;
            }
            block = Block { sum: Sum::default(), good: block.good + 1 };
        }
        self.block = Some(block);
        true
    }

    fn is_won_by(&self, block: &Block) -> bool {
        let has_more = block.sum.bytes_of_a_read() >= GAIN * self.before.bytes_of_a_read();
        has_more && (block.is_trial() || block.sum.is_no_slower_than(&self.before))
    }

    fn end(&mut self) {
        self.score = 0;
        self.before = Sum::default();
    }

    fn watch(&mut self, round: &Round) {
        if self.score == 0 || self.before.rounds == OLD {
            self.before = Sum::default();
        }
        self.before.add(round);
        let Round { came, wait, work } = *round;
        let is_of_one = came.is_single() && !came.changes;
        if is_of_one && wait < work && work < SHORT {
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

    const MICROSECOND: Duration = Duration::from_micros(1);

    /// A round in which so many messages of one client came in one read, after
    /// so many µs; and the work that they made, 2 µs and 1 for each.
    fn round(messages: usize, wait: u32) -> Round {
        let came = Came::nothing_since(1).and(1, messages * 80);
        Round { came, wait: MICROSECOND * wait, work: MICROSECOND * (2 + messages as u32) }
    }

    /// How many rounds with one message each come before it tries.
    fn until_it_tries(coalescing: &mut Coalescing, now: Instant) -> Option<usize> {
        (1..=2000).find(|_| coalescing.is_worth_it(&round(1, 1), now))
    }

    /// One that has tried it just now.
    fn trying() -> (Coalescing, Instant) {
        let (mut coalescing, now) = (Coalescing::default(), Instant::now());
        assert_eq!(until_it_tries(&mut coalescing, now), Some(ENOUGH as usize));
        (coalescing, now)
    }

    #[test]
    fn it_goes_on_for_as_long_as_it_brings_something() {
        let (mut coalescing, now) = trying();
        // A message in 4 µs before, and now 20 in 92 µs, or 40 in 112.
        assert!((0..100).all(|_| coalescing.is_worth_it(&round(40, 70), now)));
        // Now and then it does not.
        assert!(coalescing.is_worth_it(&round(1, 70), now));
        assert!((0..100).all(|_| coalescing.is_worth_it(&round(40, 70), now)));
        let ended = (1..=100).find(|_| !coalescing.is_worth_it(&round(1, 70), now));
        assert!(ended.is_some_and(|rounds| rounds <= 2 * BLOCK as usize));
        // It has been worth it: it may be again.
        assert_eq!(until_it_tries(&mut coalescing, now), Some(ENOUGH as usize));
    }

    #[test]
    fn who_waits_for_each_answer_waits_once_in_a_while() {
        let (mut coalescing, now) = trying();
        assert!(!coalescing.is_worth_it(&round(1, 70), now));
        assert_eq!(until_it_tries(&mut coalescing, now), None);
        assert_eq!(until_it_tries(&mut coalescing, now + REST), Some(1));
    }

    /// Who may have some messages unanswered has sent all of them soon.
    #[test]
    fn who_waits_after_some_messages_is_not_made_slower() {
        for window in [2, 4, 10, 15] {
            let (mut coalescing, now) = trying();
            let mut slept = (1..=100).take_while(|_| {
                let round = round(window, 70);
                coalescing.is_worth_it(&round, now)
            });
            assert!(slept.by_ref().count() <= BLOCK as usize, "{window}");
            assert_eq!(until_it_tries(&mut coalescing, now), None);
        }
    }

    #[test]
    fn what_comes_together_by_itself_is_not_slept_for() {
        let much = LITTLE / 80 + 1;
        let long = Round { work: LONG, ..round(20, 70) };
        for by_itself in [round(much, 1), long] {
            let (mut coalescing, now) = trying();
            assert!(!coalescing.is_worth_it(&by_itself, now));
            assert!(!(0..1000).any(|_| coalescing.is_worth_it(&by_itself, now)));
            // That was no failure.
            assert_eq!(until_it_tries(&mut coalescing, now), Some(ENOUGH as usize));
        }
    }

    #[test]
    fn a_sleep_that_takes_too_long_is_not_repeated() {
        let (mut coalescing, now) = trying();
        assert!(!coalescing.is_worth_it(&round(40, 1000), now));
        assert_eq!(until_it_tries(&mut coalescing, now), None);
    }

    #[test]
    fn what_comes_of_several_or_late_is_none_of_this() {
        let now = Instant::now();
        let in_turn = |number: u64| Round {
            came: Came::nothing_since(number % 2).and(1 - number % 2, 80),
            ..round(1, 1)
        };
        let mut coalescing = Coalescing::default();
        assert!(!(0..1000).any(|number| coalescing.is_worth_it(&in_turn(number), now)));
        let thrice = Came::nothing_since(1).and(1, 80).and(1, 80).and(1, 80);
        let thrice = Round { came: thrice, ..round(1, 1) };
        assert!(!(0..1000).any(|_| coalescing.is_worth_it(&thrice, now)));
        assert!(!(0..1000).any(|_| coalescing.is_worth_it(&round(1, 3), now)));
    }
}
