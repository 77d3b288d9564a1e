//! What waits for an inline subscription: a queue per publisher, served in
//! turn, so that who says much holds up himself and nobody else.
//!
//! Nothing is dropped: when more waits than should, each publisher that has
//! more than its share of it is not read until that is taken.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use crate::message::Forward;
use crate::session::Accepted;
use crate::{ClientInfo, InlineMessage, Options};

/// How many empty queues are kept for their publishers' next messages.
const SPARE: usize = 64;

/// How large a queue may have grown that is kept.
const SPARE_SIZE: usize = 64;

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
    /// Takes a message in.
    pub(crate) fn deliver(
        &self,
        forward: &Forward<'_>,
        retain_as_published: bool,
        dup: bool,
        publisher: Option<Arc<ClientInfo>>,
    ) -> Accepted {
        self.push(InlineMessage {
            topic: forward.topic().clone(),
            payload: forward.shared_payload(),
            qos: forward.qos,
            retain: forward.retain && retain_as_published,
            dup,
            properties: forward.properties(),
            publisher,
        })
    }

    pub(crate) fn push(&self, message: InlineMessage) -> Accepted {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Accepted::Not;
        }
        waiting.push(message);
        let is_first = waiting.count == 1;
        drop(waiting);
        if is_first {
            self.came.notify_one();
        }
        Accepted::Yes(None)
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
        let publisher = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&publisher)?;
        let message = queue.messages.pop_front()?;
        let size = size(&message);
        queue.bytes -= size;
        self.count -= 1;
        self.bytes -= size;
        if !queue.messages.is_empty() {
            self.turns.push_back(publisher);
        } else if queue.messages.capacity() > SPARE_SIZE || self.queues.len() > SPARE {
            self.queues.remove(&publisher);
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
