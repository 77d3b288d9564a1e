//! Messages of one topic that come together and reach many: each reader gets
//! them at once, and they are written to it right then.

use std::cell::OnceCell;
use std::sync::Arc;

use latchlight_mqtt::QoS;

use crate::batch::{Batch, MANY};
use crate::broker::Core;
use crate::message::{Forward, Message, Shape};
use crate::router::RECEIVERS;
use crate::session::first_byte;
use crate::session_handle::Session;
use crate::topics::Route;
use crate::{Time, Traffic};

/// After about how many deliveries the others of the thread come in between:
/// with what it takes to write them, some milliseconds.
const DELIVERIES: usize = 64 * 1024;

/// Messages on their way to the same sessions, which do not have them yet.
pub(crate) struct Burst {
    route: Arc<Route>,
    /// Each with when it came.
    messages: Vec<(Arc<Message>, Time)>,
}

/// What becomes of what a burst brings a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It is written at once.
    Write,
    /// It is written with the batch, in which more may come.
    Touch,
}

impl Burst {
    pub(crate) fn new(route: Arc<Route>) -> Self {
        Self { route, messages: Vec::new() }
    }

    /// Whether messages of this route go with it.
    pub(crate) fn is_for(&self, route: &Arc<Route>) -> bool {
        Arc::ptr_eq(&self.route, route)
    }

    pub(crate) fn push(&mut self, message: Arc<Message>, now: Time) {
        self.messages.push((message, now));
    }

    /// Whether it is time to give the sessions what there is.
    pub(crate) fn is_full(&self) -> bool {
        self.messages.len() * self.route.sessions.len() >= DELIVERIES
    }
}

/// The messages of a burst, and their bytes, made once for all who get them
/// alike.
pub(crate) struct Together<'a> {
    /// One at least.
    messages: Vec<Forward<'a>>,
    /// Of MQTT 3.1 and 3.1.1, and of MQTT 5.
    frames: [OnceCell<Frames>; 2],
    traffic: Traffic,
}

/// Whole packets, one behind the other.
pub(crate) struct Frames {
    pub(crate) bytes: Vec<u8>,
    /// How many bytes the largest of them has.
    pub(crate) largest: usize,
}

impl<'a> Together<'a> {
    fn new(burst: &'a Burst) -> Self {
        let forward = |(message, now): &'a (_, _)| Forward::of_message(message, *now);
        let messages: Vec<_> = burst.messages.iter().map(forward).collect();
        let mut traffic = Traffic { packets: messages.len() as u64, ..Traffic::default() };
        for message in &messages {
            traffic.message(QoS::AtMostOnce, message.payload().len());
        }
        Self { messages, frames: Default::default(), traffic }
    }

    /// When the first of them came.
    pub(crate) fn now(&self) -> Time {
        self.messages[0].now()
    }

    /// What they are when they are sent, but for the bytes.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// As a client of MQTT 5, or of a version before, gets them.
    pub(crate) fn frames(&self, v5: bool) -> &Frames {
        self.frames[usize::from(v5)].get_or_init(|| {
            let mut frames = Frames { bytes: Vec::new(), largest: 0 };
            for message in &self.messages {
                message.with_shape(Shape { v5, with_id: false }, |encoded| {
                    let start = frames.bytes.len();
                    frames.bytes.extend_from_slice(encoded.bytes);
                    frames.bytes[start] = first_byte(QoS::AtMostOnce, false);
                    frames.largest = frames.largest.max(encoded.bytes.len());
                });
            }
            frames
        })
    }
}

impl Core {
    /// Whether a message may wait for others that go the same way: many get it,
    /// all of them sessions and as a copy, and nobody is told what became of it.
    pub(crate) fn may_gather(&self, forward: &Forward<'_>, route: &Route) -> bool {
        route.sessions.len() >= MANY
            && route.groups.is_empty()
            && route.inline.is_empty()
            && forward.qos == QoS::AtMostOnce
            && !(forward.retain || forward.is_large() || forward.is_expired())
            && !(self.hooks.steps.select_subscribers || self.hooks.wants.messages)
    }

    /// Gives each session all messages of the burst before the next one is
    /// looked at: with so many, each look costs what no cache has any more.
    pub(crate) fn deliver_burst(
        &self,
        burst: &Burst,
        publisher: &Arc<Session>,
        batch: &mut Batch,
        then: Then,
    ) {
        let (route, together) = (&burst.route, Together::new(burst));
        let messages = &together.messages;
        batch.work += messages.len() * route.sessions.len() / RECEIVERS;
        let now = self.clock.now();
        for target in &route.sessions {
            let Some(receiver) = target.receiver_of(Some(publisher)) else { continue };
            let session = &target.session;
            let Some(mut line) = self.line_for(session, &route.topic, &route.verdicts) else {
                self.counters.deliveries_refused.add(messages.len() as u64 - 1);
                continue;
            };
            if !line.owed.deliver_together(&together, receiver, &self.options) {
                for message in messages {
                    self.deliver_on(&mut line, message, receiver, batch);
                }
            }
            let mut has_caught_up = false;
            if line.owed.is_connected() && line.schedule() {
                match then {
                    Then::Write => has_caught_up = line.flush(now, &self.options, &self.counters),
                    Then::Touch => batch.touch(session),
                }
            }
            if line.is_worth_waiting_for(now, &self.options) {
                batch.is_slow(session);
            }
            drop(line);
            if has_caught_up {
                session.note_drained();
            }
        }
    }
}
