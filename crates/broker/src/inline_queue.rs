//! What waits for an inline subscription: a queue per publisher, served in
//! turn, so that who says much holds up himself and nobody else.
//!
//! When more waits than should, [`WhenInlineFull`] says what happens: each
//! publisher that has more than its share of it is not read until that is
//! taken, and nothing is dropped; or something is.

use std::collections::VecDeque;

use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use crate::counters::Counters;
use crate::session::Accepted;
use crate::{ClientInfo, DropReason, InlineMessage, Options, WhenInlineFull};

/// How many empty queues are kept for their publishers' next messages.
const SPARE: usize = 64;

/// How large a queue may have grown that is kept.
const SPARE_SIZE: usize = 64;

/// What a message counts for beside its topic and payload, where nothing else
/// bounds how many there are.
const PER_MESSAGE: usize = 128;

/// Where messages for an inline subscription go.
#[derive(Debug, Default)]
pub(crate) struct InlineSink {
    waiting: Mutex<Waiting>,
    /// Wakes the subscriber.
    came: Notify,
    /// Wakes publishers that wait.
    drained: Notify,
}

/// Whose messages they are: a connection's, or this process's own and wills.
type Publisher = Option<usize>;

#[derive(Debug, Default)]
struct Waiting {
    /// What the subscription begins with goes before all else, so that no older
    /// message of a topic comes behind a newer one. Bounded by what is retained.
    retained: VecDeque<InlineMessage>,
    queues: FxHashMap<Publisher, Queue>,
    /// Whose turn it is next: everyone of whom something waits.
    turns: VecDeque<Publisher>,
    count: usize,
    bytes: usize,
    /// The subscriber is gone.
    closed: bool,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<InlineMessage>,
    bytes: usize,
}

impl InlineSink {
    /// Takes a message in, as far as there is room; `dropped` is given what makes
    /// room for it.
    pub(crate) fn push(
        &self,
        message: InlineMessage,
        options: &Options,
        counters: &Counters,
        dropped: impl FnMut(InlineMessage),
    ) -> Accepted {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Accepted::Not(None);
        }
        if !waiting.make_room(&message, options, counters, dropped) {
            counters.dropped_inline_full.one();
            return Accepted::Full(DropReason::InlineFull);
        }
        waiting.push(message);
        self.wake(waiting);
        Accepted::Yes(None)
    }

    /// Takes in what the subscription begins with.
    pub(crate) fn push_retained(&self, message: InlineMessage) {
        let mut waiting = self.waiting.lock();
        if !waiting.closed {
            waiting.retained.push_back(message);
            self.wake(waiting);
        }
    }

    fn wake(&self, waiting: MutexGuard<'_, Waiting>) {
        let is_first = waiting.count + waiting.retained.len() == 1;
        drop(waiting);
        if is_first {
            self.came.notify_one();
        }
    }

    /// The next message; nothing: none waits.
    pub(crate) fn pop(&self, options: &Options) -> Option<InlineMessage> {
        let (message, count) = {
            let mut waiting = self.waiting.lock();
            (waiting.pop()?, waiting.count)
        };
        if count == options.inline_queue / 2 {
            self.drained.notify_waiters();
        }
        Some(message)
    }

    /// Waits until messages have come, where none waited.
    pub(crate) async fn came(&self) {
        self.came.notified().await;
    }

    /// Nothing is taken in any more.
    pub(crate) fn close(&self) {
        *self.waiting.lock() = Waiting { closed: true, ..Waiting::default() };
        self.drained.notify_waiters();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.waiting.lock().closed
    }

    /// Whether a publisher is to wait: more waits than should, and of that
    /// more than its share is the publisher's.
    pub(crate) fn is_congested_by(&self, publisher: &ClientInfo, options: &Options) -> bool {
        if options.when_full_inline != WhenInlineFull::SlowDown {
            return false;
        }
        let waiting = self.waiting.lock();
        let share = |most: usize| most / waiting.turns.len().max(1);
        let Some(own) = waiting.queues.get(&key(publisher)) else { return false };
        let (most, most_bytes) = (options.inline_queue, options.max_queued_bytes);
        (waiting.count > most && own.messages.len() > share(most))
            || (waiting.bytes > most_bytes && own.bytes > share(most_bytes))
    }

    /// Waits until there may be room again.
    pub(crate) async fn drained(&self) {
        self.drained.notified().await;
    }
}

impl Waiting {
    /// Whether a message may come in; older ones are dropped for it, where that
    /// is what happens.
    fn make_room(
        &mut self,
        message: &InlineMessage,
        options: &Options,
        counters: &Counters,
        mut dropped: impl FnMut(InlineMessage),
    ) -> bool {
        let size = size(message);
        let (most, most_bytes) = (options.inline_queue, options.max_queued_bytes);
        match options.when_full_inline {
            // Slow publishers overshoot by what was read of each already.
            WhenInlineFull::SlowDown => {
                self.bytes + self.count * PER_MESSAGE < options.max_waiting_bytes
            }
            WhenInlineFull::DropNewest => self.count < most && self.bytes + size <= most_bytes,
            // None would make room enough.
            WhenInlineFull::DropOldest if size > most_bytes || most == 0 => false,
            WhenInlineFull::DropOldest => {
                let own = message.publisher.as_deref().and_then(key);
                while self.count >= most || self.bytes + size > most_bytes {
                    let has_own = self.queues.get(&own).is_some_and(|q| !q.messages.is_empty());
                    let whose = if has_own { Some(own) } else { self.turns.front().copied() };
                    let oldest = whose.and_then(|publisher| self.take(publisher));
                    let Some(oldest) = oldest else { return false };
                    counters.dropped_inline_full.one();
                    dropped(oldest);
                }
                true
            }
        }
    }

    fn push(&mut self, message: InlineMessage) {
        let publisher = message.publisher.as_deref().and_then(key);
        let queue = self.queues.entry(publisher).or_default();
        if queue.messages.is_empty() {
            self.turns.push_back(publisher);
        }
        let size = size(&message);
        queue.bytes += size;
        queue.messages.push_back(message);
        self.count += 1;
        self.bytes += size;
    }

    fn pop(&mut self) -> Option<InlineMessage> {
        if let Some(message) = self.retained.pop_front() {
            return Some(message);
        }
        self.retained = VecDeque::new();
        let publisher = *self.turns.front()?;
        let message = self.take(publisher)?;
        // If more of it waits, its next turn comes after the others'.
        if self.turns.front() == Some(&publisher) {
            self.turns.rotate_left(1);
        }
        Some(message)
    }

    /// Takes the oldest of a publisher; the last one takes its turn with it.
    fn take(&mut self, publisher: Publisher) -> Option<InlineMessage> {
        let queue = self.queues.get_mut(&publisher)?;
        let message = queue.messages.pop_front()?;
        let size = size(&message);
        queue.bytes -= size;
        self.count -= 1;
        self.bytes -= size;
        if queue.messages.is_empty() {
            let is_large = queue.messages.capacity() > SPARE_SIZE;
            if self.turns.front() == Some(&publisher) {
                self.turns.pop_front();
            } else {
                self.turns.retain(|other| *other != publisher);
            }
            if is_large || self.queues.len() > SPARE {
                self.queues.remove(&publisher);
            }
        }
        Some(message)
    }
}

/// A connection's own: no two have it while messages of both wait.
fn key(publisher: &ClientInfo) -> Publisher {
    Some(std::ptr::from_ref(publisher).addr())
}

fn size(message: &InlineMessage) -> usize {
    message.topic.len() + message.payload.len()
}
