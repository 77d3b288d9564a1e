//! Messages that wait for a session: bounded in number and bytes.

use std::collections::VecDeque;

use latchlight_mqtt::QoS;

use super::in_flight::Kept;
use crate::options::WhenFull;
use crate::{Options, Time};

/// What waits for a session, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Waiting>,
    /// How many of them the bounds count.
    counted: usize,
    /// And how many bytes those are.
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    kept: Kept,
    /// Retained messages are held by their store, and bounded there.
    retained: bool,
}

/// What became of a message that wanted in.
#[derive(Debug)]
pub(crate) enum Pushed {
    Waits,
    /// These older ones were dropped for it.
    Instead(Vec<Kept>),
    Dropped,
    /// The session is to be disconnected.
    Disconnect,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many wait, retained ones among them.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether retained messages wait: newer ones of any QoS go behind them.
    pub(crate) fn holds_retained(&self) -> bool {
        self.retained_waiting() > 0
    }

    /// How many retained messages wait.
    pub(crate) fn retained_waiting(&self) -> usize {
        self.waiting.len() - self.counted
    }

    /// Whether half of what may wait does: time to slow publishers down.
    pub(crate) fn is_half_full(&self, options: &Options) -> bool {
        self.counted > options.max_queued_messages / 2 || self.bytes > options.max_queued_bytes / 2
    }

    /// The QoS of the one whose turn it is.
    pub(crate) fn next_qos(&self) -> Option<QoS> {
        self.waiting.front().map(|waiting| waiting.kept.qos)
    }

    /// A new subscription brings a retained message.
    pub(crate) fn push_retained(&mut self, kept: Kept) {
        self.waiting.push_back(Waiting { kept, retained: true });
    }

    pub(crate) fn push(&mut self, kept: Kept, options: &Options) -> Pushed {
        let size = kept.message.size();
        let fits = size <= options.max_queued_bytes && options.max_queued_messages > 0;
        let mut dropped = Vec::new();
        while self.counted >= options.max_queued_messages
            || self.bytes + size > options.max_queued_bytes
        {
            match options.when_full {
                WhenFull::DropNewest => return Pushed::Dropped,
                WhenFull::Disconnect => return Pushed::Disconnect,
                // None would make room enough.
                WhenFull::DropOldest if !fits => return Pushed::Dropped,
                WhenFull::DropOldest => {
                    let oldest = self.waiting.iter().position(|waiting| !waiting.retained);
                    let Some(oldest) = oldest.and_then(|at| self.waiting.remove(at)) else {
                        return Pushed::Dropped;
                    };
                    self.uncount(&oldest);
                    dropped.push(oldest.kept);
                }
            }
        }
        self.counted += 1;
        self.bytes += size;
        self.waiting.push_back(Waiting { kept, retained: false });
        if dropped.is_empty() { Pushed::Waits } else { Pushed::Instead(dropped) }
    }

    /// An earlier run of the broker has left this.
    pub(crate) fn restore(&mut self, kept: Kept) {
        self.counted += 1;
        self.bytes += kept.message.size();
        self.waiting.push_back(Waiting { kept, retained: false });
    }

    /// All that waits, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.waiting.iter().map(|waiting| &waiting.kept)
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Kept> {
        self.waiting.iter_mut().map(|waiting| &mut waiting.kept)
    }

    /// The oldest one that has not expired, and those that had.
    pub(crate) fn pop(&mut self, now: Time) -> (Option<Kept>, Vec<Kept>) {
        let mut expired = Vec::new();
        while let Some(waiting) = self.waiting.pop_front() {
            self.uncount(&waiting);
            if !waiting.kept.message.is_expired(now) {
                return (Some(waiting.kept), expired);
            }
            expired.push(waiting.kept);
        }
        self.waiting = VecDeque::new();
        (None, expired)
    }

    /// The connection is gone: QoS 0 does not wait for another.
    pub(crate) fn disconnect(&mut self) {
        let all = std::mem::take(self);
        for waiting in all.waiting {
            if waiting.kept.qos != QoS::AtMostOnce {
                self.counted += usize::from(!waiting.retained);
                self.bytes += if waiting.retained { 0 } else { waiting.kept.message.size() };
                self.waiting.push_back(waiting);
            }
        }
    }

    /// The bytes that the bounds count.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets all but what came by shared subscriptions.
    pub(crate) fn keep_shared(&mut self) {
        let shared = self.take_shared();
        self.clear();
        shared.into_iter().for_each(|kept| self.restore(kept));
    }

    /// What came by shared subscriptions at QoS 1 and 2; gone from here.
    pub(crate) fn take_shared(&mut self) -> Vec<Kept> {
        self.take_out(|kept| kept.share.is_some() && kept.qos != QoS::AtMostOnce)
    }

    /// Takes some of what waits out of here.
    pub(crate) fn take_out(&mut self, goes: impl Fn(&Kept) -> bool) -> Vec<Kept> {
        let all = std::mem::take(&mut self.waiting);
        let (out, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| goes(&it.kept));
        self.waiting = rest.into();
        out.iter().for_each(|waiting| self.uncount(waiting));
        out.into_iter().map(|waiting| waiting.kept).collect()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn uncount(&mut self, waiting: &Waiting) {
        if !waiting.retained {
            self.counted -= 1;
            self.bytes -= waiting.kept.message.size();
        }
    }
}
