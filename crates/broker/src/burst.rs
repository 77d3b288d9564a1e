//! Messages of one topic and QoS 0 or 1 that come together and reach many: each
//! reader gets them at once, and they are written to it right then.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use latchlight_mqtt::{PacketId, QoS};

use crate::batch::{Batch, MANY, Then};
use crate::broker::Core;
use crate::message::{Forward, Message, Shape};
use crate::router::RECEIVERS;
use crate::session_handle::Session;
use crate::tally::Tallies;
use crate::topics::Route;
use crate::{Options, Time, Traffic};

/// After so many deliveries the others of the thread come in between.
const DELIVERIES: usize = 64 * 1024;

/// The same of QoS 1, each of which takes longer.
const DELIVERIES_QOS_1: usize = 32 * 1024;

/// The same where it is not known that they go together: one by one they take
/// much longer, above all where each is noted in a store.
const DELIVERIES_ONE_BY_ONE: usize = 8 * 1024;

/// After so many bytes to all sessions.
const BYTES: usize = 16 * 1024 * 1024;

/// After so many bytes to each; or half of what an output may hold, if that is
/// less.
const BYTES_EACH: usize = 64 * 1024;

/// They go together where no more than one session in so many gets them one by
/// one.
const NEARLY_ALL: usize = 8;

/// Messages on their way to the same sessions, which do not have them yet:
/// whoever is subscribed when the first one comes gets all of them (MQTT 5,
/// 3.10.4: what was there before UNSUBSCRIBE may follow it). What others publish
/// meanwhile, as a hook that is asked about the next one, may come before.
pub(crate) struct Burst {
    route: Arc<Route>,
    qos: QoS,
    pub(crate) messages: Vec<Gathered>,
    /// About how much that is to each session, with what went to it before in
    /// this batch.
    bytes: usize,
    /// So many messages, or so much, are enough.
    most: usize,
    most_bytes: usize,
}

/// A message that waits for others.
pub(crate) struct Gathered {
    message: Arc<Message>,
    /// When it came.
    now: Time,
    pub(crate) answer: Option<Answer>,
}

/// The answer that waits with a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) id: PacketId,
    /// How many bytes the payload had that is answered.
    pub(crate) payload: usize,
}

impl Burst {
    /// Begins, where so many bytes went before and were not written.
    pub(crate) fn new(route: Arc<Route>, qos: QoS, bytes: usize, options: &Options) -> Self {
        let sessions = route.sessions.len().max(1);
        let mut most = DELIVERIES.div_ceil(sessions);
        let mut most_bytes = BYTES_EACH.min(options.high_water / 2).min(BYTES / sessions);
        if qos != QoS::AtMostOnce {
            // What finds no room in a window waits in its queue.
            let deliveries = match route.goes_together.load(Ordering::Relaxed) {
                true => DELIVERIES_QOS_1,
                false => DELIVERIES_ONE_BY_ONE,
            };
            most = deliveries.div_ceil(sessions).min(options.max_queued_messages / 4);
            most_bytes = most_bytes.min(options.max_queued_bytes / 4);
        }
        Self { route, qos, messages: Vec::new(), bytes, most, most_bytes }
    }

    /// Whether messages of this route and QoS go with it.
    pub(crate) fn is_for(&self, route: &Arc<Route>, qos: QoS) -> bool {
        Arc::ptr_eq(&self.route, route) && self.qos == qos
    }

    pub(crate) fn push(&mut self, message: Arc<Message>, now: Time, answer: Option<Answer>) {
        self.bytes += message.size();
        self.messages.push(Gathered { message, now, answer });
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it is time to give the sessions what there is.
    pub(crate) fn is_full(&self) -> bool {
        self.messages.len() >= self.most || self.bytes >= self.most_bytes
    }
}

/// The messages of a burst, and their bytes, made once for all who get them
/// alike.
pub(crate) struct Together<'a> {
    /// One at least.
    messages: Vec<Forward<'a>>,
    qos: QoS,
    payload_bytes: u64,
    /// Of MQTT 3.1 and 3.1.1, and of MQTT 5; of QoS 0, and of QoS 1.
    frames: [[OnceCell<Frames>; 2]; 2],
}

/// Whole packets, one behind the other.
pub(crate) struct Frames {
    pub(crate) bytes: Vec<u8>,
    /// Where each has its packet id, at QoS 1.
    pub(crate) ids_at: Vec<usize>,
    /// How many bytes the largest of them has.
    pub(crate) largest: usize,
}

impl<'a> Together<'a> {
    pub(crate) fn new(burst: &'a Burst) -> Self {
        let forward = |gathered: &'a Gathered| Forward::of_message(&gathered.message, gathered.now);
        let messages: Vec<_> = burst.messages.iter().map(forward).collect();
        let payload_bytes = messages.iter().map(|message| message.payload().len() as u64).sum();
        Self { messages, qos: burst.qos, payload_bytes, frames: Default::default() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The QoS of all of them.
    pub(crate) fn qos(&self) -> QoS {
        self.qos
    }

    /// When the first of them came.
    pub(crate) fn now(&self) -> Time {
        self.messages[0].now()
    }

    /// What they are when they are sent at this QoS, but for the bytes.
    pub(crate) fn traffic(&self, qos: QoS) -> Traffic {
        let mut traffic = Traffic { packets: self.len() as u64, ..Traffic::default() };
        traffic.messages[qos as usize] = self.len() as u64;
        traffic.payload_bytes[qos as usize] = self.payload_bytes;
        traffic
    }

    /// As a client of MQTT 5, or of a version before, gets them at QoS 0 or 1;
    /// the packet ids are the client's own.
    pub(crate) fn frames(&self, v5: bool, qos: QoS) -> &Frames {
        let with_id = qos != QoS::AtMostOnce;
        self.frames[usize::from(v5)][usize::from(with_id)].get_or_init(|| {
            let mut frames = Frames { bytes: Vec::new(), ids_at: Vec::new(), largest: 0 };
            for message in &self.messages {
                message.with_shape(Shape { v5, with_id }, |encoded| {
                    let start = frames.bytes.len();
                    frames.bytes.extend_from_slice(encoded.bytes);
                    if with_id {
                        frames.ids_at.push(start + encoded.id_at);
                    }
                    frames.largest = frames.largest.max(encoded.bytes.len());
                });
            }
            frames
        })
    }
}

impl Core {
    /// Whether a message may wait for others that go the same way: many get it,
    /// all of them sessions and as a copy, and no hook is told when it was done:
    /// it would be after it was written, and perhaps acknowledged.
    pub(crate) fn may_gather(&self, forward: &Forward<'_>, route: &Route) -> bool {
        route.sessions.len() >= MANY
            && route.groups.is_empty()
            && route.inline.is_empty()
            && forward.qos != QoS::ExactlyOnce
            && !(forward.retain || forward.is_large() || forward.is_expired())
            && !(self.hooks.wants.messages || self.hooks.wants.packets)
            && !(self.hooks.wants.exchanges && forward.qos != QoS::AtMostOnce)
            && !(self.hooks.steps.select_subscribers || self.hooks.steps.encode_packet)
    }

    /// Gives each session all messages of the burst before the next one is
    /// looked at: with so many, each look costs what no cache has any more.
    /// Gives what became of them.
    pub(crate) fn deliver_burst(
        &self,
        burst: &Burst,
        publisher: &Arc<Session>,
        batch: &mut Batch,
        then: Then,
    ) -> Tallies {
        let (route, together) = (&burst.route, Together::new(burst));
        let messages = &together.messages;
        let mut tallies = Tallies::new(messages.len());
        batch.work += messages.len() * route.sessions.len() / RECEIVERS;
        let (now, mut one_by_one) = (self.clock.now(), 0);
        for target in &route.sessions {
            let Some(receiver) = target.receiver_of(Some(publisher)) else { continue };
            let session = &target.session;
            let Some(mut line) = self.line_for(session, &route.topic, &route.verdicts) else {
                self.counters.deliveries_refused.add(messages.len() as u64 - 1);
                continue;
            };
            if line.owed.deliver_together(&together, receiver, &self.options) {
                tallies.all_taken();
            } else {
                one_by_one += 1;
                for (message, tally) in messages.iter().zip(tallies.each()) {
                    tally.add(self.deliver_on(&mut line, message, receiver, batch));
                }
            }
            self.see_to(line, session, now, batch, then);
        }
        if burst.qos != QoS::AtMostOnce {
            let goes_together = one_by_one <= route.sessions.len() / NEARLY_ALL;
            route.goes_together.store(goes_together, Ordering::Relaxed);
        }
        tallies
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use latchlight_mqtt::Properties;

    use super::*;
    use crate::session::Receiver;
    use crate::topics::Target;

    /// How many messages of QoS 0 and of so many bytes fill a burst for so many
    /// sessions.
    fn fill(sessions: u64, bytes: usize, before: usize, high_water: usize) -> usize {
        let options = Options { high_water, ..Options::default() };
        fill_at(QoS::AtMostOnce, sessions, bytes, before, &options, false)
    }

    fn fill_at(
        qos: QoS,
        sessions: u64,
        bytes: usize,
        before: usize,
        options: &Options,
        goes_together: bool,
    ) -> usize {
        let mut route = Route::new("t", 0);
        route.goes_together = goes_together.into();
        for number in 0..sessions {
            let session = Session::new("".into(), "".into(), number);
            route.sessions.push(Target { session, receiver: Receiver::default(), own: None });
        }
        let mut burst = Burst::new(Arc::new(route), qos, before, options);
        let message = Arc::new(Message {
            topic: "t".into(),
            payload: Bytes::from(vec![0; bytes - 1]),
            qos,
            retain: false,
            properties: Properties::new(),
            expires_at: None,
        });
        while !burst.is_full() {
            burst.push(message.clone(), 0, None);
        }
        burst.messages.len()
    }

    #[test]
    fn enough_is_in_deliveries_in_bytes_to_all_and_in_bytes_to_each() {
        const MANY_BYTES: usize = 1024 * 1024;
        // 65,536 deliveries.
        assert_eq!(fill(1_024, 1, 0, MANY_BYTES), 64);
        assert_eq!(fill(1_023, 1, 0, MANY_BYTES), 65);
        // 64 KiB to each.
        assert_eq!(fill(64, 1_024, 0, MANY_BYTES), 64);
        assert_eq!(fill(64, 1_023, 0, MANY_BYTES), 65);
        assert_eq!(fill(64, 1_024, 32 * 1_024, MANY_BYTES), 32);
        // Half of the high-water mark.
        assert_eq!(fill(64, 1_024, 0, 16 * 1_024), 8);
        assert_eq!(fill(64, 1_023, 0, 16 * 1_024), 9);
        // 16 MiB to all: 8 KiB to each of 2,048.
        assert_eq!(fill(2_048, 1_024, 0, MANY_BYTES), 8);
        assert_eq!(fill(2_048, 1_023, 0, MANY_BYTES), 9);
    }

    #[test]
    fn of_qos_1_enough_is_less_and_leaves_room_in_a_queue() {
        let fill = |sessions, bytes, options: Options| {
            fill_at(QoS::AtLeastOnce, sessions, bytes, 0, &options, true)
        };
        // 32,768 deliveries.
        assert_eq!(fill(1_024, 1, Options::default()), 32);
        assert_eq!(fill(1_023, 1, Options::default()), 33);
        // 8,192 where they may go one by one.
        let one_by_one =
            |sessions| fill_at(QoS::AtLeastOnce, sessions, 1, 0, &Options::default(), false);
        assert_eq!((one_by_one(1_024), one_by_one(1_023)), (8, 9));
        // A quarter of what may wait, in messages and in bytes.
        let queued = |max_queued_messages| Options { max_queued_messages, ..Options::default() };
        assert_eq!(fill(1_024, 1, queued(128)), 32);
        assert_eq!(fill(1_024, 1, queued(124)), 31);
        let queued = |max_queued_bytes| Options { max_queued_bytes, ..Options::default() };
        assert_eq!(fill(64, 1_024, queued(32 * 1_024)), 8);
        assert_eq!(fill(64, 1_023, queued(32 * 1_024)), 9);
        // 64 KiB to each, as of QoS 0.
        assert_eq!(fill(64, 1_024, Options::default()), 64);
    }
}
