//! A thread that has nothing to do looks for more for a moment before it
//! sleeps, where its clients were quick lately: to fall asleep and be woken
//! takes both a system call's time many times over, and the message waits for
//! it. It does so where messages come one by one: of several at once, more
//! come together while it sleeps. And only while a core has nothing to do: else
//! those wait for it that it waits for, and to sleep costs less.

use std::time::{Duration, Instant};

use super::load::{HALF, IdleCores};
use super::parking::Round;

/// What one that was not quick takes from the score, to which a quick one adds
/// 1: of 17, at least 16 have to be quick.
const SLOW: i32 = 16;

/// How far the score goes, up and down.
const MOST: i32 = 64;

/// From this score on, the next one is expected to be quick.
const ENOUGH: i32 = 8;

/// So much of a core has to have had nothing to do, in the last span of this
/// length in which something quick was expected.
const FREE: u32 = HALF / 2;
const LOOKED_AT: Duration = Duration::from_millis(100);

/// One that lasted longer says little of now.
const TOO_LONG: Duration = Duration::from_secs(1);

/// Whether a thread looks for more.
#[derive(Debug, Default)]
pub(super) struct BusyPoll {
    habit: Habit,
    cores: Cores,
}

impl BusyPoll {
    /// For how long it has looked, in all.
    pub(super) fn time_spent(&self) -> Duration {
        self.habit.spent
    }

    /// It has had something to do.
    pub(super) fn ended(&mut self, round: &Round, span: Duration) {
        self.habit.ended(round.wait, span, round.came.is_single());
    }

    /// Whether to look for more after having had nothing to do for this long.
    pub(super) fn is_worth_it(&mut self, now: Instant, waited: Duration, span: Duration) -> bool {
        let Self { habit, cores } = self;
        habit.is_worth_it(waited, span, || cores.are_free(now))
    }

    /// It expects something quick, and has found a core free just now.
    #[cfg(test)]
    pub(super) fn expect_more(&mut self) {
        self.habit.score = MOST;
        self.cores = Cores { idle: Some(IdleCores::start()), are_free: true };
    }
}

/// Whether the machine has a core to look with.
#[derive(Debug, Default)]
struct Cores {
    idle: Option<IdleCores>,
    are_free: bool,
}

impl Cores {
    fn are_free(&mut self, now: Instant) -> bool {
        let age = self.idle.as_ref().map_or(TOO_LONG, |idle| idle.age(now));
        if age >= LOOKED_AT {
            let idle = self.idle.get_or_insert_with(IdleCores::start);
            self.are_free = idle.were_there(FREE) && age < TOO_LONG;
        }
        self.are_free
    }
}

/// Whether what comes next is expected to be quick.
#[derive(Debug, Default)]
struct Habit {
    score: i32,
    /// It looks for what comes next.
    looks: bool,
    spent: Duration,
}

impl Habit {
    /// Whether to look for more after having done so for this long.
    fn is_worth_it(
        &mut self,
        waited: Duration,
        span: Duration,
        cores_are_free: impl FnOnce() -> bool,
    ) -> bool {
        if self.looks && waited >= span {
            self.looks = false;
            self.spent += waited;
            self.note(false);
        } else if waited.is_zero() {
            self.looks = self.score >= ENOUGH && cores_are_free();
        }
        self.looks
    }

    /// Something came after this long.
    fn ended(&mut self, wait: Duration, span: Duration, alone: bool) {
        if std::mem::take(&mut self.looks) {
            self.spent += wait;
            self.note(alone);
        } else {
            // While the thread sleeps, its own waking up is in it, too.
            self.note(alone && wait < span * 2);
        }
    }

    fn note(&mut self, quick: bool) {
        self.score = (self.score + if quick { 1 } else { -SLOW }).clamp(-MOST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::parking::{Came, LITTLE};

    const SPAN: Duration = Duration::from_micros(50);
    const SHORT: Duration = Duration::from_micros(20);

    /// A habit after so many quick ones.
    fn after(quick: i32) -> Habit {
        let mut habit = Habit::default();
        for _ in 0..quick {
            habit.ended(SHORT, SPAN, true);
        }
        habit
    }

    #[test]
    fn it_looks_for_more_after_some_quick_ones() {
        let mut habit = after(ENOUGH - 1);
        assert!(!habit.is_worth_it(Duration::ZERO, SPAN, || true));
        // It slept: its own waking up took part of the time.
        habit.ended(SPAN + SHORT, SPAN, true);
        assert!(habit.is_worth_it(Duration::ZERO, SPAN, || true));
        assert!(habit.is_worth_it(SHORT, SPAN, || true));
        habit.ended(SHORT, SPAN, true);
        assert_eq!(habit.spent, SHORT);
        assert!(habit.is_worth_it(Duration::ZERO, SPAN, || true));
    }

    #[test]
    fn what_is_seldom_late_is_looked_for_still_and_what_often_is_no_more() {
        let mut habit = after(1000);
        assert!(habit.is_worth_it(Duration::ZERO, SPAN, || true));
        assert!(!habit.is_worth_it(SPAN, SPAN, || true));
        assert_eq!(habit.spent, SPAN);
        // What came then was late, too.
        habit.ended(SPAN * 10, SPAN, true);
        assert_eq!(habit.score, MOST - 2 * SLOW);
        assert!(habit.is_worth_it(Duration::ZERO, SPAN, || true));
        habit.ended(SHORT, SPAN, true);
        for _ in 0..10 {
            for _ in 0..10 {
                habit.ended(SHORT, SPAN, true);
            }
            habit.ended(SPAN * 10, SPAN, true);
        }
        assert!(!habit.is_worth_it(Duration::ZERO, SPAN, || true));
        assert_eq!(habit.spent, SPAN + SHORT);
    }

    #[test]
    fn where_all_cores_are_busy_it_sleeps() {
        let mut habit = after(1000);
        assert!(!habit.is_worth_it(Duration::ZERO, SPAN, || false));
        assert!(!habit.is_worth_it(SHORT, SPAN, || true));
        habit.ended(SPAN + SHORT, SPAN, true);
        assert_eq!(habit.spent, Duration::ZERO);
        assert!(habit.is_worth_it(Duration::ZERO, SPAN, || true));
    }

    #[test]
    fn what_comes_together_is_slept_for() {
        let now = Instant::now();
        let looks_after = |came: Came| {
            let mut busy_poll = BusyPoll::default();
            busy_poll.expect_more();
            let round = Round { came, wait: SHORT, work: SHORT };
            for _ in 0..100 {
                busy_poll.ended(&round, SPAN);
            }
            busy_poll.is_worth_it(now, Duration::ZERO, SPAN)
        };
        let nothing = Came::nothing_since(1);
        assert!(looks_after(nothing.and(1, LITTLE - 1).and(1, 1)));
        assert!(!looks_after(nothing.and(1, LITTLE + 1)));
        assert!(!looks_after(nothing.and(1, 100).and(1, 100).and(1, 100)));
    }
}
