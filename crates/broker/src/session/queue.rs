//! Messages that wait for a session: bounded in number and bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use latchlight_mqtt::QoS;

use super::in_flight::Kept;
use crate::message::Message;
use crate::seldom::{Collection, Seldom};
use crate::{Options, Time, WhenFull, WhenOfflineFull};

/// What waits for a session, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue(Seldom<Waits>);

#[derive(Debug, Default)]
struct Waits {
    messages: VecDeque<Waiting>,
    /// How many of them the bounds count.
    counted: usize,
    /// And how many bytes those are.
    bytes: usize,
}

#[derive(Debug)]
enum Waiting {
    Kept(Kept),
    /// Not counted: bounded where it is retained.
    Retained(Lent),
}

/// A retained message that a subscription brings. It is gone when it is not
/// retained any more: a newer one of its topic, which has taken its place,
/// comes behind it. So a reader that trickles keeps no old ones in memory.
#[derive(Debug)]
struct Lent {
    message: Weak<Message>,
    qos: QoS,
    identifiers: Box<[u32]>,
    stored: Option<u64>,
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

/// What was taken from the front.
#[derive(Debug, Default)]
pub(crate) struct Popped {
    /// The oldest one that has not expired.
    pub(crate) next: Option<Kept>,
    /// Those before it that had.
    pub(crate) expired: Vec<Kept>,
    /// The numbers in the store of those that are not retained any more.
    pub(crate) gone: Vec<u64>,
}

impl Collection for Waits {
    const NONE: &'static Self = &Self { messages: VecDeque::new(), counted: 0, bytes: 0 };

    fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

impl Waiting {
    fn qos(&self) -> QoS {
        match self {
            Self::Kept(kept) => kept.qos,
            Self::Retained(lent) => lent.qos,
        }
    }

    fn is_to_be_sent(&self, now: Time) -> bool {
        match self {
            Self::Kept(kept) => !kept.message.is_expired(now),
            Self::Retained(lent) => {
                lent.message.upgrade().is_some_and(|message| !message.is_expired(now))
            }
        }
    }
}

impl Lent {
    fn new(kept: &Kept) -> Self {
        Self {
            message: Arc::downgrade(&kept.message),
            qos: kept.qos,
            identifiers: kept.identifiers.clone(),
            stored: kept.stored,
        }
    }

    /// The same to be sent; nothing: it is gone.
    fn kept(&self) -> Option<Kept> {
        Some(Kept {
            message: self.message.upgrade()?,
            qos: self.qos,
            retain: true,
            identifiers: self.identifiers.clone(),
            share: None,
            stored: self.stored,
            dup: false,
        })
    }
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.messages.is_empty()
    }

    /// How many wait, retained ones among them.
    pub(crate) fn len(&self) -> usize {
        self.0.messages.len()
    }

    /// Whether retained messages wait: newer ones of any QoS go behind them.
    pub(crate) fn holds_retained(&self) -> bool {
        self.retained_waiting() > 0
    }

    /// How many retained messages wait.
    pub(crate) fn retained_waiting(&self) -> usize {
        self.0.messages.len() - self.0.counted
    }

    /// Whether half of what may wait does: time to slow publishers down.
    pub(crate) fn is_half_full(&self, options: &Options) -> bool {
        self.0.counted > options.max_queued_messages / 2
            || self.0.bytes > options.max_queued_bytes / 2
    }

    /// A new subscription brings a retained message.
    pub(crate) fn push_retained(&mut self, kept: &Kept) {
        self.0.messages.push_back(Waiting::Retained(Lent::new(kept)));
    }

    /// A message wants in; whether its client is there decides what happens
    /// when there is no room.
    pub(crate) fn push(&mut self, kept: Kept, is_connected: bool, options: &Options) -> Pushed {
        let when_full = match options.when_full_offline {
            _ if is_connected => options.when_full,
            WhenOfflineFull::DropNewest => WhenFull::DropNewest,
            WhenOfflineFull::DropOldest => WhenFull::DropOldest,
        };
        let size = kept.message.size();
        let fits = size <= options.max_queued_bytes && options.max_queued_messages > 0;
        let mut dropped = Vec::new();
        while self.0.counted >= options.max_queued_messages
            || self.0.bytes + size > options.max_queued_bytes
        {
            match when_full {
                WhenFull::DropNewest => return Pushed::Dropped,
                WhenFull::Disconnect => return Pushed::Disconnect,
                // None would make room enough.
                WhenFull::DropOldest if !fits => return Pushed::Dropped,
                WhenFull::DropOldest => {
                    let is_counted = |waiting: &Waiting| matches!(waiting, Waiting::Kept(_));
                    let oldest = self.0.messages.iter().position(is_counted);
                    let oldest = oldest.and_then(|at| self.0.messages.remove(at));
                    let Some(Waiting::Kept(oldest)) = oldest else { return Pushed::Dropped };
                    self.uncount(&oldest);
                    dropped.push(oldest);
                }
            }
        }
        self.restore(kept);
        if dropped.is_empty() { Pushed::Waits } else { Pushed::Instead(dropped) }
    }

    /// One more, whatever the bounds: an earlier run of the broker has left it,
    /// say.
    pub(crate) fn restore(&mut self, kept: Kept) {
        self.0.counted += 1;
        self.0.bytes += kept.message.size();
        self.0.messages.push_back(Waiting::Kept(kept));
    }

    /// Shows all that waits, oldest first.
    pub(crate) fn for_each(&self, mut show: impl FnMut(&Kept)) {
        for waiting in &self.0.messages {
            match waiting {
                Waiting::Kept(kept) => show(kept),
                Waiting::Retained(lent) => lent.kept().iter().for_each(&mut show),
            }
        }
    }

    /// The same, to be given new numbers in the store.
    pub(crate) fn for_each_mut(&mut self, mut change: impl FnMut(&mut Kept)) {
        if self.is_empty() {
            return;
        }
        for waiting in &mut self.0.messages {
            match waiting {
                Waiting::Kept(kept) => change(kept),
                Waiting::Retained(lent) => {
                    let mut kept = lent.kept();
                    kept.iter_mut().for_each(&mut change);
                    // What is gone has none: the old one may soon be another's.
                    lent.stored = kept.and_then(|kept| kept.stored);
                }
            }
        }
    }

    /// Takes the oldest one that is to be sent, unless `may_go` keeps it; and
    /// those before it that are not to be sent any more.
    pub(crate) fn pop(&mut self, now: Time, may_go: impl Fn(QoS) -> bool) -> Popped {
        let mut popped = Popped::default();
        if self.is_empty() {
            return popped;
        }
        while let Some(next) = self.0.messages.front() {
            if next.is_to_be_sent(now) && !may_go(next.qos()) {
                return popped;
            }
            let Some(waiting) = self.0.messages.pop_front() else { break };
            let kept = match waiting {
                Waiting::Kept(kept) => {
                    self.uncount(&kept);
                    kept
                }
                Waiting::Retained(lent) => match lent.kept() {
                    Some(kept) => kept,
                    None => {
                        popped.gone.extend(lent.stored);
                        continue;
                    }
                },
            };
            if !kept.message.is_expired(now) {
                return Popped { next: Some(kept), ..popped };
            }
            popped.expired.push(kept);
        }
        self.0.messages = VecDeque::new();
        popped
    }

    /// The connection is gone: QoS 0 does not wait for another.
    pub(crate) fn disconnect(&mut self) {
        let mut all = std::mem::take(self);
        for waiting in all.0.take().messages {
            match waiting {
                Waiting::Kept(kept) if kept.qos != QoS::AtMostOnce => self.restore(kept),
                Waiting::Retained(lent) if lent.qos != QoS::AtMostOnce => {
                    self.0.messages.push_back(Waiting::Retained(lent));
                }
                _ => {}
            }
        }
    }

    /// The bytes that the bounds count.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes
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
        let mut out = Vec::new();
        if self.is_empty() {
            return out;
        }
        let all = std::mem::take(&mut self.0.messages);
        for waiting in all {
            match waiting {
                Waiting::Kept(kept) if goes(&kept) => {
                    self.uncount(&kept);
                    out.push(kept);
                }
                Waiting::Retained(lent) => match lent.kept().filter(&goes) {
                    Some(kept) => out.push(kept),
                    None => self.0.messages.push_back(Waiting::Retained(lent)),
                },
                stays => self.0.messages.push_back(stays),
            }
        }
        out
    }

    /// What nothing is in any more goes.
    pub(crate) fn rest(&mut self) {
        self.0.rest();
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn uncount(&mut self, kept: &Kept) {
        self.0.counted -= 1;
        self.0.bytes -= kept.message.size();
    }
}
