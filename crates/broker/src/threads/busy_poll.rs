//! A thread that has nothing to do looks for more for a moment before it
//! sleeps, where its clients were quick lately: to fall asleep and be woken
//! takes both a system call's time many times over, and the message waits for
//! it. It does so where messages come one by one: of several at once, more
//! come together while it sleeps. And only while a core has nothing to do: else
//! those wait for it that it waits for, and to sleep costs less.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io;
use std::task::{Poll, Waker};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::load::{HALF, IdleCores};

/// More than this at once is no message by itself: the answer to the one before
/// may come with it.
const FEW: Came = Came { reads: 2, bytes: 4096 };

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

thread_local! {
    static CAME: Cell<Came> = const { Cell::new(Came { reads: 0, bytes: 0 }) };
    static WATCH: RefCell<Watch> = RefCell::new(Watch::default());
}

/// What was read from sockets since the thread last had nothing to do.
#[derive(Debug, Clone, Copy, Default)]
struct Came {
    reads: usize,
    bytes: usize,
}

/// So many bytes were read from a socket.
pub(crate) fn note_read(bytes: usize) {
    let Came { reads, bytes: before } = CAME.get();
    CAME.set(Came { reads: reads + 1, bytes: before + bytes });
}

/// For how long this thread has looked for more, in all.
pub(super) fn time_spent() -> Duration {
    WATCH.with_borrow(|watch| watch.habit.spent)
}

/// A runtime whose one thread looks for more for so long before it sleeps;
/// zero, or on a machine with one core: it sleeps at once.
pub(super) fn runtime(span: Duration) -> io::Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all();
    let is_alone = available_parallelism().is_ok_and(|cores| cores.get() == 1);
    if span.is_zero() || is_alone {
        return builder.build();
    }
    builder.on_thread_park(move || {
        WATCH.with_borrow_mut(|watch| {
            let came = CAME.take();
            if watch.is_to_go_on(Instant::now(), came, span)
                && let Some(task) = &watch.task
            {
                // With a task to run, the runtime looks and does not sleep.
                task.wake_by_ref();
            }
        });
    });
    builder.on_thread_unpark(|| WATCH.with_borrow_mut(|watch| watch.woken = Some(Instant::now())));
    let runtime = builder.build()?;
    runtime.spawn(stay_awake());
    Ok(runtime)
}

/// The task that the runtime has to run when it is not to sleep.
async fn stay_awake() {
    poll_fn(|context| {
        WATCH.with_borrow_mut(|watch| watch.task = Some(context.waker().clone()));
        Poll::Ready(())
    })
    .await;
    pending().await
}

/// What a thread knows of its waits.
#[derive(Debug, Default)]
struct Watch {
    task: Option<Waker>,
    habit: Habit,
    cores: Cores,
    /// When it last had nothing to do any more.
    since: Option<Instant>,
    /// When it was last told of something, if only that there is nothing.
    woken: Option<Instant>,
}

impl Watch {
    /// Whether the thread, which has nothing to do after this, looks for more.
    fn is_to_go_on(&mut self, now: Instant, came: Came, span: Duration) -> bool {
        if came.reads > 0 {
            if let (Some(since), Some(woken)) = (self.since, self.woken) {
                let wait = woken.saturating_duration_since(since);
                let alone = came.reads <= FEW.reads && came.bytes <= FEW.bytes;
                self.habit.ended(wait, span, alone);
            }
            self.since = Some(now);
        }
        let since = *self.since.get_or_insert(now);
        self.habit.is_worth_it(now - since, span, || self.cores.are_free(now))
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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

    /// A thread that has found a core free just now.
    fn with_free_cores() -> Watch {
        let cores = Cores { idle: Some(IdleCores::start()), are_free: true };
        Watch { cores, ..Watch::default() }
    }

    /// For how long the thread of a runtime looks where something quick is expected.
    fn spent_by_a_runtime(span: Duration) -> Duration {
        let runtime = runtime(span).unwrap();
        runtime.block_on(async {
            // Somebody else may have the core, so that it is asked anew.
            for _ in 0..50 {
                tokio::time::sleep(Duration::from_millis(2)).await;
                WATCH.with_borrow_mut(|watch| {
                    watch.habit.score = MOST;
                    watch.cores = with_free_cores().cores;
                });
                note_read(1);
            }
        });
        time_spent()
    }

    #[test]
    fn a_runtime_looks_before_it_sleeps_if_it_may() {
        assert_eq!(spent_by_a_runtime(Duration::ZERO), Duration::ZERO);
        let has_two = available_parallelism().unwrap().get() > 1;
        assert_eq!(spent_by_a_runtime(SPAN) >= SPAN, has_two);
        // There is what keeps it from sleeping.
        assert_eq!(WATCH.with_borrow(|watch| watch.task.is_some()), has_two);
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
        let mut watch = with_free_cores();
        let mut at = Instant::now();
        let mut goes_on = |came| {
            at += SHORT;
            watch.woken = Some(at);
            watch.is_to_go_on(at, came, SPAN)
        };
        assert!(!(0..100).any(|_| goes_on(Came { reads: FEW.reads + 1, bytes: 300 })));
        assert!(!(0..100).any(|_| goes_on(Came { reads: 1, bytes: FEW.bytes + 1 })));
        assert!((0..100).any(|_| goes_on(FEW)));
    }

    #[test]
    fn a_timer_that_fires_in_between_is_no_message() {
        let start = Instant::now();
        let mut watch = Watch { habit: after(ENOUGH), ..with_free_cores() };
        assert!(watch.is_to_go_on(start, FEW, SPAN));
        assert!(watch.is_to_go_on(start + SHORT, Came::default(), SPAN));
        assert!(!watch.is_to_go_on(start + SPAN, Came::default(), SPAN));
        assert!(!watch.is_to_go_on(start + SPAN * 2, Came::default(), SPAN));
        assert_eq!(watch.habit.spent, SPAN);
    }
}
