//! What a thread does when it has nothing to do: it sleeps until something
//! comes. Where its clients are quick it looks for more before that
//! ([`BusyPoll`]); where one of them says much, a little at a time, it lets some
//! of that come together ([`Coalescing`]).

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io;
use std::task::{Poll, Waker};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::busy_poll::BusyPoll;
use super::coalescing::{Coalescing, PAUSE};

thread_local! {
    static CAME: Cell<Came> = const { Cell::new(Came::nothing_since(0)) };
    static WATCH: RefCell<Watch> = RefCell::new(Watch::default());
}

/// What was read from sockets since the thread last had nothing to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came {
    pub(super) reads: usize,
    pub(super) bytes: usize,
    /// The number of the session that was read last, now or before.
    session: u64,
    /// One was read after another one.
    pub(super) changes: bool,
}

/// More than so many reads at once, or so many bytes a time, are no message by
/// itself: the answer to the one before may come with it.
const FEW: usize = 2;
pub(super) const LITTLE: usize = 4096;

impl Came {
    /// Whether it is a message that came by itself.
    pub(super) fn is_single(self) -> bool {
        self.reads <= FEW && self.bytes <= LITTLE
    }

    pub(super) const fn nothing_since(session: u64) -> Self {
        Self { reads: 0, bytes: 0, session, changes: false }
    }

    /// So many bytes of this session, too.
    #[must_use]
    pub(super) fn and(self, session: u64, bytes: usize) -> Self {
        Self {
            reads: self.reads + 1,
            bytes: self.bytes + bytes,
            session,
            changes: self.changes || session != self.session,
        }
    }
}

/// What a thread did since it last had nothing to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    /// Something.
    pub(super) came: Came,
    /// How long it was waited for.
    pub(super) wait: Duration,
    /// How long it took to do it.
    pub(super) work: Duration,
}

/// So many bytes were read from the socket of a session with this number.
pub(crate) fn note_read(session: u64, bytes: usize) {
    CAME.set(CAME.get().and(session, bytes));
}

/// For how long this thread has looked for more, in all.
pub(super) fn time_spent() -> Duration {
    WATCH.with_borrow(|watch| watch.busy_poll.time_spent())
}

/// A runtime whose one thread looks for more for so long before it sleeps, or
/// lets more come together; zero, or on a machine with one core: it only sleeps.
pub(super) fn runtime(busy_poll: Duration) -> io::Result<Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all();
    let is_alone = available_parallelism().is_ok_and(|cores| cores.get() == 1);
    if busy_poll.is_zero() || is_alone {
        return builder.build();
    }
    builder.on_thread_park(move || {
        let came = CAME.get();
        CAME.set(Came::nothing_since(came.session));
        let next = WATCH.with_borrow_mut(|watch| watch.next(Instant::now(), came, busy_poll));
        if next == Next::Coalesce {
            std::thread::sleep(PAUSE);
        }
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
    busy_poll: BusyPoll,
    coalescing: Coalescing,
    /// When it last had nothing to do any more.
    since: Option<Instant>,
    /// When it was last told of something, if only that there is nothing.
    woken: Option<Instant>,
}

/// What a thread does that has nothing to do.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Sleep,
    Look,
    Coalesce,
}

impl Watch {
    fn next(&mut self, now: Instant, came: Came, busy_poll: Duration) -> Next {
        if came.reads > 0 {
            let since = self.since.replace(now);
            if let (Some(since), Some(woken)) = (since, self.woken) {
                let wait = woken.saturating_duration_since(since);
                let work = now.saturating_duration_since(woken);
                let round = Round { came, wait, work };
                self.busy_poll.ended(&round, busy_poll);
                if self.coalescing.is_worth_it(&round, now) {
                    return Next::Coalesce;
                }
            }
        }
        let waited = now - *self.since.get_or_insert(now);
        if !self.busy_poll.is_worth_it(now, waited, busy_poll) {
            return Next::Sleep;
        }
        if let Some(task) = &self.task {
            // With a task to run, the runtime looks and does not sleep.
            task.wake_by_ref();
        }
        Next::Look
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_micros(50);
    const SHORT: Duration = Duration::from_micros(20);

    fn one(session: u64) -> Came {
        Came::nothing_since(session).and(session, 80)
    }

    /// For how long the thread of a runtime looks where something quick is expected.
    fn spent_by_a_runtime(span: Duration) -> Duration {
        let runtime = runtime(span).unwrap();
        runtime.block_on(async {
            // Somebody else may have the core, so that it is asked anew.
            for _ in 0..50 {
                tokio::time::sleep(Duration::from_millis(2)).await;
                WATCH.with_borrow_mut(|watch| watch.busy_poll.expect_more());
                note_read(1, 1);
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
    fn a_timer_that_fires_in_between_is_no_message() {
        let start = Instant::now();
        let nothing = Came::nothing_since(1);
        let mut watch = Watch::default();
        watch.busy_poll.expect_more();
        assert_eq!(watch.next(start, one(1), SPAN), Next::Look);
        assert_eq!(watch.next(start + SHORT, nothing, SPAN), Next::Look);
        assert_eq!(watch.next(start + SPAN, nothing, SPAN), Next::Sleep);
        assert_eq!(watch.next(start + SPAN * 2, nothing, SPAN), Next::Sleep);
        assert_eq!(watch.busy_poll.time_spent(), SPAN);
    }

    /// What a thread does that takes so long for a message, for each of many
    /// that come so long after it: of one session, or in turn of two.
    fn after_many(wait: Duration, work: Duration, in_turn: bool) -> Next {
        let (mut watch, mut now) = (Watch::default(), Instant::now());
        let mut next = Next::Sleep;
        for number in 0..100 {
            watch.woken = Some(now + wait);
            now += wait + work;
            let (last, session) = if in_turn { (number % 2, 1 - number % 2) } else { (1, 1) };
            let came = Came::nothing_since(last).and(session, 80);
            next = watch.next(now, came, SPAN);
            if next == Next::Coalesce {
                break;
            }
        }
        next
    }

    #[test]
    fn what_one_client_says_without_a_pause_comes_together() {
        let (less, more) = (Duration::from_micros(1), Duration::from_micros(4));
        assert_eq!(after_many(less, more, false), Next::Coalesce);
        assert_ne!(after_many(more, less, false), Next::Coalesce);
        assert_ne!(after_many(less, more, true), Next::Coalesce);
    }
}
