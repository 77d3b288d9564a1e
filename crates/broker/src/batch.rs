//! What the packets that come together bring about: written once, mostly at the
//! end.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::broker::Core;
use crate::burst::Burst;
use crate::inline_queue::InlineSink;
use crate::session_handle::Session;
use crate::{ClientInfo, Options, Time, Traffic};

/// How often a publisher that waits looks at whom it waits for.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// To go through so many sessions takes much longer than to look whether more
/// has come that goes with it: so messages for them wait for others, too.
pub(crate) const MANY: usize = 64;

/// How many batches a thread keeps for its next packets.
const POOLED: usize = 4;

/// Room for more answers (in bytes), sessions or slow readers is not kept.
const ROOM: usize = 16 * 1024;

thread_local! {
    #[allow(clippy::vec_box, reason = "they go in and out as they are")]
    static POOL: RefCell<Vec<Box<Batch>>> = const { RefCell::new(Vec::new()) };
}

/// What packets that came together have touched, and how they are answered.
#[derive(Default)]
pub(crate) struct Batch {
    /// Messages that nobody has been given yet.
    pub(crate) burst: Option<Burst>,
    /// How many bytes bursts, and topics that came as an alias, have brought
    /// each session, at the most.
    pub(crate) gathered: usize,
    touched: Vec<Arc<Session>>,
    slow: FxHashMap<u64, Arc<Session>>,
    slow_inline: Vec<(Arc<InlineSink>, Arc<ClientInfo>)>,
    /// What its packets have brought about is on disk after this commit.
    commit: Option<u64>,
    /// What its messages have cost next to the messages themselves, since this
    /// was looked at.
    pub(crate) work: usize,
    /// Answers that are written after the batch, when what they answer is
    /// done: the place where a store holds them until it is on disk, too.
    pub(crate) acks: Vec<u8>,
    /// How many those are.
    pub(crate) answers: u64,
    /// What was handled.
    pub(crate) received: Traffic,
    /// Since when its client waits for slow readers.
    pub(crate) paused_at: Option<Time>,
}

/// What follows where a session was given something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It is written at once.
    Write,
    /// It is written with the batch, in which more may come.
    Touch,
}

/// A connection's batch: there while packets are handled, and while slow
/// readers are waited for. Whoever changes it makes it.
#[derive(Default)]
pub(crate) struct OwnBatch(Option<Box<Batch>>);

impl Deref for OwnBatch {
    type Target = Batch;

    fn deref(&self) -> &Batch {
        self.0.as_deref().unwrap_or(Batch::NONE)
    }
}

impl DerefMut for OwnBatch {
    fn deref_mut(&mut self) -> &mut Batch {
        self.0.get_or_insert_with(another)
    }
}

/// Once a batch: apart, so that it stands in nobody's way.
#[cold]
#[inline(never)]
fn another() -> Box<Batch> {
    POOL.with(|pool| pool.borrow_mut().pop()).unwrap_or_default()
}

impl OwnBatch {
    /// Lets go of what was written, unless slow readers are waited for.
    pub(crate) fn rest(&mut self) {
        if let Some(mut batch) = self.0.take_if(|batch| !batch.has_met_slow()) {
            batch.empty();
            POOL.with(|pool| {
                let mut pool = pool.borrow_mut();
                if pool.len() < POOLED {
                    pool.push(batch);
                }
            });
        }
    }
}

impl Batch {
    const NONE: &'static Self = &Self {
        burst: None,
        gathered: 0,
        touched: Vec::new(),
        slow: FxHashMap::with_hasher(FxBuildHasher),
        slow_inline: Vec::new(),
        commit: None,
        work: 0,
        acks: Vec::new(),
        answers: 0,
        received: Traffic { bytes: 0, packets: 0, messages: [0; 3], payload_bytes: [0; 3] },
        paused_at: None,
    };

    /// Nothing stays in it but room.
    fn empty(&mut self) {
        debug_assert!(self.burst.is_none(), "who gathers gives it away");
        let Self { touched, slow, acks, .. } = self;
        touched.clear();
        acks.clear();
        if touched.capacity().max(acks.capacity()).max(slow.capacity()) > ROOM {
            *self = Self::default();
            return;
        }
        (self.commit, self.paused_at) = (None, None);
        (self.work, self.answers) = (0, 0);
        self.received = Traffic::default();
    }

    /// The answers wait for this commit.
    pub(crate) fn acknowledge_after(&mut self, commit: u64) {
        self.commit = self.commit.max(Some(commit));
    }

    /// The commit that answers have to wait for, if any.
    pub(crate) fn take_commit(&mut self) -> Option<u64> {
        self.commit.take()
    }

    /// A session whose output has grown.
    pub(crate) fn touch(&mut self, session: &Arc<Session>) {
        self.touched.push(session.clone());
    }

    /// Whether it takes long to write it out.
    pub(crate) fn reaches_many(&self) -> bool {
        self.burst.is_some() || self.touched.len() >= MANY
    }

    /// Whether what was gathered is enough for a turn: with more, what a few
    /// bytes stand for (a topic alias) could overrun who gets it.
    pub(crate) fn is_full(&self, options: &Options) -> bool {
        self.gathered > options.high_water / 2 || self.burst.as_ref().is_some_and(Burst::is_full)
    }

    /// Writes everything out.
    pub(crate) fn flush(&mut self, core: &Core) {
        if self.touched.is_empty() {
            return;
        }
        let now = core.clock.now();
        for session in self.touched.drain(..) {
            session.flush(now, &core.options, &core.counters);
        }
    }

    /// A session that has more to read than it should.
    pub(crate) fn is_slow(&mut self, session: &Arc<Session>) {
        self.slow.entry(session.number).or_insert_with(|| session.clone());
    }

    /// An inline subscription that has, of this publisher's.
    pub(crate) fn is_slow_inline(&mut self, sink: &Arc<InlineSink>, publisher: &Arc<ClientInfo>) {
        if !self.slow_inline.iter().any(|(known, _)| Arc::ptr_eq(known, sink)) {
            self.slow_inline.push((sink.clone(), publisher.clone()));
        }
    }

    /// The publisher has waited long enough for other clients. It waits on for
    /// inline subscriptions: their queues have no other bound.
    pub(crate) fn forget_slow(&mut self) {
        self.slow.clear();
    }

    /// Whether it has met readers that are to be waited for.
    pub(crate) fn has_met_slow(&self) -> bool {
        !(self.slow.is_empty() && self.slow_inline.is_empty())
    }

    /// Whether the publisher is to wait for a reader, of those that were met.
    pub(crate) fn is_congested(&mut self, core: &Core, publisher: &Session) -> bool {
        if !self.has_met_slow() {
            return false;
        }
        let (now, options) = (core.clock.now(), &core.options);
        let mut acknowledging = Vec::new();
        self.slow.retain(|number, session| {
            let mut line = session.outbound.lock();
            let is_worth = line.is_worth_waiting_for(now, options);
            if is_worth && !line.owed.is_output_full(options) {
                acknowledging.push(*number);
            }
            is_worth
        });
        for in_vain in core.pauses.begin(publisher.number, acknowledging) {
            self.slow.remove(&in_vain);
        }
        self.slow_inline.retain(|(sink, publisher)| sink.is_congested_by(publisher, options));
        self.has_met_slow()
    }

    /// Waits until one of the slow readers may have caught up, or a little
    /// while, after which those that stalled are not waited for any more.
    pub(crate) async fn drained(&self) {
        let caught_up = async {
            match (self.slow.values().next(), self.slow_inline.first()) {
                (Some(session), _) => session.drained().notified().await,
                (None, Some((sink, _))) => sink.drained().await,
                (None, None) => {}
            }
        };
        let _ = tokio::time::timeout(LOOK_AGAIN, caught_up).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_may_bring_half_of_the_high_water_mark_and_no_more() {
        let options = Options::default();
        let half = options.high_water / 2;
        assert!(!Batch { gathered: half, ..Batch::default() }.is_full(&options));
        assert!(Batch { gathered: half + 1, ..Batch::default() }.is_full(&options));
    }
}
