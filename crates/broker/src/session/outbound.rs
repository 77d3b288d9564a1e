//! What a client is owed: its window, its queue and its output.

mod counts;
mod ending;
mod live;
mod log;
mod pump;
mod sifting;

use std::sync::Arc;

use latchlight_mqtt::{Packet, QoS};

use super::OutputBuffer;
use super::in_flight::{InFlight, Kept};
use super::live_queue::LiveQueue;
use super::queue::{Pushed, Queue};
use super::sender::{ConnectionLimits, Sender, first_byte};
use crate::burst::Together;
use crate::counters::Counters;
use crate::hooks::Tells;
use crate::message::{Forward, Message};
use crate::store::{SessionLog, Wait};
use crate::traffic::OwnTraffic;
use crate::{DropReason, Options, Time};

/// How far beyond the high-water mark QoS 0 may pile up while publishers are
/// being slowed down, as a factor.
const OVERSHOOT: usize = 4;

/// How one receiver wants a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Receiver {
    pub(crate) qos: QoS,
    pub(crate) retain_as_published: bool,
    pub(crate) identifiers: Vec<u32>,
    /// The shared subscription that it gets it by.
    pub(crate) share: Option<Arc<str>>,
}

/// The answer to CONNECT, and what has to be on disk before it.
pub(crate) struct Answer<'a> {
    pub(crate) packet: &'a Packet,
    pub(crate) after: Option<Wait>,
}

/// What became of a message at one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It is in the output buffer, or waits in the queue; and on disk after
    /// this commit, if there is a store that keeps it.
    Yes(Option<u64>),
    /// There is no room for it.
    Full(DropReason),
    /// It is not for this receiver: nobody is connected, or it is too large.
    /// Without a reason, it never was.
    Not(Option<DropReason>),
    /// The queue is full, and the connection is to be closed for it.
    Disconnect,
}

impl Accepted {
    /// Why the receiver does not get it, where it was to.
    pub(crate) fn refused(self) -> Option<DropReason> {
        match self {
            Self::Yes(_) => None,
            Self::Full(reason) => Some(reason),
            Self::Not(reason) => reason,
            Self::Disconnect => Some(DropReason::QueueFull),
        }
    }
}

/// What a client is owed; free of I/O.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    sender: Option<Sender>,
    in_flight: InFlight,
    queue: Queue,
    live: LiveQueue,
    live_unacknowledged: live::Unacknowledged,
    /// The session outlives its connection.
    durable: bool,
    /// What waits is sifted first.
    sifting: bool,
    /// The last word of the connection was said.
    finished: bool,
    /// How many of its bytes are counted among all that waits.
    counted: usize,
    /// Where it is noted, if the broker has a store and the session is
    /// durable.
    log: Option<Box<SessionLog>>,
    /// What becomes of its messages is told by this.
    pub(crate) tells: Tells,
    last_acknowledgement: Time,
    /// What was sent by all its connections.
    sent: OwnTraffic,
    /// Messages that the client did not get.
    dropped: u64,
}

impl Outbound {
    /// A connection begins: the answer to CONNECT comes first, what is open
    /// is sent again, and what waits follows.
    pub(crate) fn connect(
        &mut self,
        limits: ConnectionLimits,
        durable: bool,
        answer: Answer<'_>,
        now: Time,
        options: &Options,
        counters: &Counters,
    ) {
        self.durable = durable;
        let mut sender = Sender::new(limits, options, &self.tells);
        if let Some(wait) = answer.after {
            wait.hold(&mut sender.out);
        }
        // [MQTT-3.2.0-1]
        sender.say(answer.packet);
        self.sender = Some(sender);
        self.pump(now, options, counters);
    }

    /// Whether the session outlives its connection.
    pub(crate) fn is_durable(&self) -> bool {
        self.durable
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.sender.is_some()
    }

    /// The output, to be written.
    pub(crate) fn output(&mut self) -> Option<&mut OutputBuffer> {
        self.sender.as_mut().map(|sender| &mut sender.out)
    }

    /// Appends a packet that is no PUBLISH.
    pub(crate) fn say(&mut self, packet: &Packet) {
        if let Some(sender) = &mut self.sender {
            sender.say(packet);
        }
    }

    /// Whether a hook panicked over a packet for the client.
    pub(crate) fn has_failed(&self) -> bool {
        self.sender.as_ref().is_some_and(Sender::has_failed)
    }

    /// Appends so many answers, which are whole packets.
    pub(crate) fn append_answers(&mut self, answers: &[u8], count: u64) {
        if let Some(sender) = &mut self.sender {
            sender.append_answers(answers, count);
        }
    }

    /// So many bytes were written.
    pub(crate) fn progressed(&mut self, bytes: usize, now: Time) {
        if let Some(sender) = &mut self.sender {
            sender.progressed(bytes, now);
        }
    }

    /// Whether more waits for a connected client than should.
    pub(crate) fn is_congested(&self, options: &Options) -> bool {
        self.is_output_full(options) || self.is_connected() && self.queue.is_half_full(options)
    }

    /// Whether more waits for the socket than should; what waits beside that,
    /// waits for the client's acknowledgements.
    pub(crate) fn is_output_full(&self, options: &Options) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.out.len() > options.high_water)
    }

    /// Whether publishers are to be slowed down for this reader: only for one
    /// that is behind and takes, or acknowledges, something all the same.
    pub(crate) fn is_worth_waiting_for(&self, now: Time, options: &Options) -> bool {
        let Some(sender) = self.sender.as_ref().filter(|_| self.is_congested(options)) else {
            return false;
        };
        let still = match sender.out.is_empty() {
            true => now.saturating_sub(self.last_acknowledgement),
            false => sender.stalled_for(now),
        };
        u128::from(still) <= options.stalled_after.as_millis()
    }

    /// For how long bytes wait without any being taken.
    pub(crate) fn stalled_for(&self, now: Time) -> Time {
        self.sender.as_ref().map_or(0, |sender| sender.stalled_for(now))
    }

    /// Gives a message to this receiver.
    pub(crate) fn deliver(
        &mut self,
        forward: &Forward<'_>,
        receiver: &Receiver,
        retain: bool,
        options: &Options,
        counters: &Counters,
    ) -> Accepted {
        let accepted = self.take_in(forward, receiver, retain, options, counters);
        // Of a shared subscription, another member may take it.
        if let (Some(reason), None) = (accepted.refused(), &receiver.share) {
            self.note_lost(forward, reason, counters);
        }
        self.count(counters);
        accepted
    }

    /// Gives messages to this receiver, where each of them would simply be sent;
    /// false: they are to be given one after the other.
    pub(crate) fn deliver_together(
        &mut self,
        together: &Together<'_>,
        receiver: &Receiver,
        options: &Options,
    ) -> bool {
        let qos = together.qos().min(receiver.qos);
        let is_kept = qos != QoS::AtMostOnce && self.durable;
        if is_kept || !self.may_send(qos, together.len(), options) {
            return false;
        }
        let (sender, in_flight) = (self.sender.as_mut(), &mut self.in_flight);
        let next_id = || in_flight.open(qos, None, None);
        let high_water = options.high_water;
        sender.is_some_and(|s| s.send_together(together, qos, receiver, high_water, next_id))
    }

    /// Whether so many more messages would go without waiting for anything.
    fn may_send(&self, qos: QoS, count: usize, options: &Options) -> bool {
        if qos == QoS::AtMostOnce {
            return !(self.is_held() || self.queue.holds_retained());
        }
        let is_behind = self.is_held() || !self.queue.is_empty() || self.in_flight.has_again();
        !is_behind && self.has_room(count, options)
    }

    fn take_in(
        &mut self,
        forward: &Forward<'_>,
        receiver: &Receiver,
        retain: bool,
        options: &Options,
        counters: &Counters,
    ) -> Accepted {
        let qos = forward.qos.min(receiver.qos);
        if qos == QoS::AtMostOnce {
            return self.deliver_at_most_once(forward, receiver, retain, options, counters);
        }
        let idle = self.may_send(qos, 1, options);
        let Some(sender) =
            self.sender.as_mut().filter(|sender| idle && sender.out.len() <= options.high_water)
        else {
            if self.tells.of_exchanges() && self.is_connected() && !self.has_room(1, options) {
                self.tells.packet_ids_exhausted(&forward.keep());
            }
            return self.enqueue(kept(forward, qos, receiver, retain), options, counters);
        };
        if forward.size() > sender.limits.max_packet_size as usize {
            return Accepted::Not(Some(DropReason::TooLarge));
        }
        let is_kept = self.durable || receiver.share.is_some();
        if is_kept && let Some(why) = full(self.log.as_deref(), options, counters) {
            return Accepted::Full(why);
        }
        if !is_kept {
            let id = self.in_flight.open(qos, None, None);
            return match sender.send(forward, receiver, first_byte(qos, retain), Some(id)) {
                true => {
                    self.tells.qos_published(id, false, || forward.keep());
                    Accepted::Yes(None)
                }
                false => {
                    self.in_flight.close(id);
                    Accepted::Not(Some(DropReason::TooLarge))
                }
            };
        }
        let mut kept = kept(forward, qos, receiver, retain);
        kept.stored = self.log.as_mut().map(|log| log.next());
        let id = self.in_flight.open(qos, Some(kept.clone()), None);
        let commit = self.note_sent(&kept, id, true);
        let Some(sender) = &mut self.sender else { return Accepted::Not(None) };
        if sender.send(forward, receiver, first_byte(qos, retain), Some(id)) {
            if receiver.share.is_some() {
                self.in_flight.appended(id, sender.position());
            }
            self.tells.qos_published(id, false, || kept.message.clone());
            Accepted::Yes(commit)
        } else {
            self.close(id);
            Accepted::Not(Some(DropReason::TooLarge))
        }
    }

    fn deliver_at_most_once(
        &mut self,
        forward: &Forward<'_>,
        receiver: &Receiver,
        retain: bool,
        options: &Options,
        counters: &Counters,
    ) -> Accepted {
        let is_held = self.is_held();
        let Some(sender) = self.sender.as_mut().filter(|_| !is_held) else {
            return Accepted::Not(Some(DropReason::Offline));
        };
        // A newer message does not overtake the retained one of its topic.
        if self.queue.holds_retained() {
            let kept = kept(forward, QoS::AtMostOnce, receiver, retain);
            return self.enqueue(kept, options, counters);
        }
        if sender.out.len() > options.high_water {
            let idle = u128::from(sender.stalled_for(forward.now()));
            let stalled = idle > options.stalled_after.as_millis();
            if stalled || sender.out.len() > options.high_water.saturating_mul(OVERSHOOT) {
                return Accepted::Full(DropReason::Stalled);
            }
        }
        if !sender.send(forward, receiver, first_byte(QoS::AtMostOnce, retain), None) {
            return Accepted::Not(Some(DropReason::TooLarge));
        }
        Accepted::Yes(None)
    }

    fn enqueue(&mut self, mut kept: Kept, options: &Options, counters: &Counters) -> Accepted {
        if self.sender.is_none() && !self.durable {
            return Accepted::Not(None);
        }
        let log = self.log.as_mut().filter(|_| kept.qos != QoS::AtMostOnce);
        if let Some(why) = full(log.as_deref().map(|log| &**log), options, counters) {
            return Accepted::Full(why);
        }
        kept.stored = log.map(|log| log.next());
        let is_there = self.is_connected() && !self.finished;
        match self.queue.push(kept.clone(), is_there, options) {
            Pushed::Waits => Accepted::Yes(self.note_waits(&kept)),
            Pushed::Instead(dropped) => {
                counters.dropped_queue_full.add(dropped.len() as u64);
                counters.dropped_oldest.add(dropped.len() as u64);
                self.dropped += dropped.len() as u64;
                for dropped in dropped {
                    self.note_done(dropped.stored);
                    self.tells.dropped(DropReason::QueueFull, || dropped.message);
                }
                Accepted::Yes(self.note_waits(&kept))
            }
            Pushed::Dropped => Accepted::Full(DropReason::QueueFull),
            Pushed::Disconnect => Accepted::Disconnect,
        }
    }

    /// Retained messages that a new subscription brings: all of them, as fast
    /// as the client takes them. RETAIN tells that they were kept
    /// [MQTT-3.3.1-8].
    pub(crate) fn queue_retained(
        &mut self,
        messages: Vec<Arc<Message>>,
        most: QoS,
        identifiers: &[u32],
    ) {
        for message in messages {
            self.tells.retain_published(&message);
            let qos = message.qos.min(most);
            let log = self.log.as_mut().filter(|_| qos != QoS::AtMostOnce);
            let stored = log.map(|log| log.next());
            let identifiers = identifiers.into();
            let share = None;
            let kept = Kept { message, qos, retain: true, identifiers, share, stored, dup: false };
            self.note_waits(&kept);
            self.queue.push_retained(&kept);
        }
    }

    /// What nothing is in any more goes, until it is needed again.
    pub(crate) fn rest(&mut self) {
        self.in_flight.rest();
        self.queue.rest();
        self.live_unacknowledged.rest();
        if let Some(sender) = &mut self.sender {
            sender.sent.rest();
        }
    }

    /// How many retained messages wait, which no bound counts.
    pub(crate) fn retained_waiting(&self) -> usize {
        self.queue.retained_waiting()
    }

    /// How much room the client's window has [MQTT-3.3.4-9].
    fn window(&self, options: &Options) -> usize {
        let theirs = self.sender.as_ref().map_or(u16::MAX, |s| s.limits.receive_maximum);
        let most = usize::from(theirs.min(options.max_in_flight).max(1));
        most.saturating_sub(self.in_flight.sent())
    }

    fn has_window(&self, options: &Options) -> bool {
        self.window(options) > 0
    }

    /// Whether so many more messages may be in flight: what is kept to be sent
    /// again is bounded as the queue is.
    fn has_room(&self, count: usize, options: &Options) -> bool {
        self.window(options) >= count && self.in_flight.bytes() < options.max_queued_bytes
    }
}

/// Why nothing more is kept for anybody, if so. The store comes first: it is
/// why what was sent cannot be acknowledged, and waits.
fn full(log: Option<&SessionLog>, options: &Options, counters: &Counters) -> Option<DropReason> {
    if log.is_some_and(SessionLog::is_full) {
        return Some(DropReason::StoreFull);
    }
    let is_full = counters.waiting_bytes.get() >= options.max_waiting_bytes as u64;
    is_full.then_some(DropReason::QueueFull)
}

fn kept(forward: &Forward<'_>, qos: QoS, receiver: &Receiver, retain: bool) -> Kept {
    Kept {
        message: forward.keep(),
        qos,
        retain,
        identifiers: receiver.identifiers.as_slice().into(),
        share: receiver.share.clone(),
        stored: None,
        dup: false,
    }
}
