//! What a client is owed: its window, its queue and its output.

use std::sync::Arc;

use latchlight_mqtt::{
    AckView, Packet, PacketId, PacketType, ProtocolVersion, QoS, ReasonCode, encode_ack,
};

use super::OutputBuffer;
use super::in_flight::{Awaits, InFlight, Kept};
use super::live_queue::{LiveQueue, Waiting};
use super::queue::{Pushed, Queue};
use crate::counters::Counters;
use crate::live::Ticket;
use crate::message::{Encoded, Forward, Message, Shape};
use crate::{Options, Time};

/// How far beyond the high-water mark QoS 0 may pile up while publishers are
/// being slowed down, as a factor.
const OVERSHOOT: usize = 4;

/// What a connection allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    pub(crate) version: ProtocolVersion,
    pub(crate) receive_maximum: u16,
    pub(crate) max_packet_size: usize,
}

/// How one receiver wants a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Receiver {
    pub(crate) qos: QoS,
    pub(crate) retain_as_published: bool,
    pub(crate) identifiers: Vec<u32>,
}

/// What became of a message at one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// It is in the output buffer, or waits in the queue.
    Yes,
    /// It was dropped at a bound, and counted.
    Full,
    /// It was not for this receiver: nobody is connected, or it is too large
    /// or too old; counted.
    Not,
    /// The queue is full, and the connection is to be closed for it.
    Disconnect,
}

/// What a client is owed; free of I/O.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    connection: Option<Connection>,
    in_flight: InFlight,
    queue: Queue,
    live: LiveQueue,
    /// Live publishes of QoS 0, for which no PUBACK comes.
    live_unacknowledged: Vec<Arc<Ticket>>,
    /// The session outlives its connection.
    durable: bool,
}

#[derive(Debug)]
struct Connection {
    limits: ConnectionLimits,
    out: OutputBuffer,
    last_progress: Time,
}

impl Outbound {
    /// A connection begins: the answer to CONNECT comes first, what is open
    /// is sent again, and what waits follows.
    pub(crate) fn connect(
        &mut self,
        limits: ConnectionLimits,
        durable: bool,
        answer: &Packet,
        now: Time,
        options: &Options,
        counters: &Counters,
    ) {
        self.durable = durable;
        let mut connection =
            Connection { limits, out: OutputBuffer::default(), last_progress: now };
        if let Err(error) = connection.out.append(|out| answer.encode(limits.version, out)) {
            tracing::error!(%error, "encode CONNACK");
        }
        self.connection = Some(connection);
        for (id, awaits, kept) in self.in_flight.again() {
            let Some(connection) = &mut self.connection else { return };
            match (awaits, kept) {
                (Awaits::PubComp, _) => connection.acknowledge(PacketType::PubRel, id),
                (_, Some(kept)) => {
                    connection.send_kept(&kept, Some(id), true, now);
                    counters.messages_out.one();
                }
                // It was never kept: its session was to end with its connection.
                (_, None) => {
                    self.in_flight.close(id);
                }
            }
        }
        self.pump(now, options, counters);
    }

    /// The connection is gone; gives whether a live publish was on its way,
    /// for whose sake the socket must be reset.
    pub(crate) fn disconnect(&mut self) -> Vec<Arc<Ticket>> {
        self.connection = None;
        self.live.abandon();
        let mut lost = self.in_flight.take_live();
        lost.append(&mut self.live_unacknowledged);
        lost.retain(|ticket| ticket.is_sent());
        if !self.durable {
            self.in_flight.clear();
            self.queue.clear();
        }
        lost
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// The output, to be written.
    pub(crate) fn output(&mut self) -> Option<&mut OutputBuffer> {
        self.connection.as_mut().map(|connection| &mut connection.out)
    }

    /// Bytes were written.
    pub(crate) fn progressed(&mut self, now: Time) {
        if let Some(connection) = &mut self.connection {
            connection.last_progress = now;
        }
    }

    /// Whether publishers are to be slowed down for this reader.
    pub(crate) fn is_congested(&self, options: &Options) -> bool {
        self.connection.as_ref().is_some_and(|c| c.out.len() > options.high_water)
    }

    /// For how long bytes wait without any being taken.
    pub(crate) fn stalled_for(&self, now: Time) -> Time {
        match &self.connection {
            Some(connection) if !connection.out.is_empty() => {
                now.saturating_sub(connection.last_progress)
            }
            _ => 0,
        }
    }

    /// Gives a message to this receiver.
    pub(crate) fn deliver(
        &mut self,
        forward: &Forward<'_>,
        receiver: &Receiver,
        retain: bool,
        now: Time,
        options: &Options,
        counters: &Counters,
    ) -> Accepted {
        let qos = forward.qos.min(receiver.qos);
        if qos == QoS::AtMostOnce {
            return self.deliver_at_most_once(forward, receiver, retain, now, options, counters);
        }
        let window = self.window(options);
        let idle = self.queue.is_empty() && self.in_flight.len() < window;
        if let Some(connection) = self.connection.as_mut().filter(|_| idle)
            && connection.out.len() <= options.high_water
        {
            let too_large = forward.size() > connection.limits.max_packet_size;
            if too_large {
                counters.dropped_too_large.one();
                return Accepted::Not;
            }
            let kept = self.durable.then(|| kept(forward, qos, receiver, retain));
            let id = self.in_flight.open(qos, kept, None);
            let sent = connection.send(forward, receiver, first_byte(qos, retain), Some(id));
            if !sent {
                self.in_flight.close(id);
                counters.dropped_too_large.one();
                return Accepted::Not;
            }
            counters.messages_out.one();
            return Accepted::Yes;
        }
        if self.connection.is_none() && !self.durable {
            return Accepted::Not;
        }
        match self.queue.push(kept(forward, qos, receiver, retain), options) {
            Pushed::Waits => Accepted::Yes,
            Pushed::Instead(dropped) => {
                counters.dropped_queue_full.add(dropped as u64);
                Accepted::Yes
            }
            Pushed::Dropped => {
                counters.dropped_queue_full.one();
                Accepted::Full
            }
            Pushed::Disconnect => {
                counters.dropped_queue_full.one();
                Accepted::Disconnect
            }
        }
    }

    fn deliver_at_most_once(
        &mut self,
        forward: &Forward<'_>,
        receiver: &Receiver,
        retain: bool,
        now: Time,
        options: &Options,
        counters: &Counters,
    ) -> Accepted {
        let Some(connection) = &mut self.connection else {
            counters.dropped_offline.one();
            return Accepted::Not;
        };
        if connection.out.len() > options.high_water {
            let idle = u128::from(now.saturating_sub(connection.last_progress));
            let stalled = idle > options.stalled_after.as_millis();
            if stalled || connection.out.len() > options.high_water.saturating_mul(OVERSHOOT) {
                counters.dropped_stalled.one();
                return Accepted::Full;
            }
        }
        if !connection.send(forward, receiver, first_byte(QoS::AtMostOnce, retain), None) {
            counters.dropped_too_large.one();
            return Accepted::Not;
        }
        counters.messages_out.one();
        Accepted::Yes
    }

    /// A live publish: now, or when the window has room, or not at all.
    pub(crate) fn deliver_live(
        &mut self,
        message: &Arc<Message>,
        receiver: &Receiver,
        ticket: &Arc<Ticket>,
        deadline: Time,
        now: Time,
        options: &Options,
    ) {
        let qos = message.qos.min(receiver.qos);
        let waiting = Waiting { message: message.clone(), qos, ticket: ticket.clone(), deadline };
        let room = self.in_flight.len() < self.window(options) || qos == QoS::AtMostOnce;
        match &self.connection {
            Some(connection) if room && connection.out.len() <= options.high_water => {
                self.send_live(waiting, now);
            }
            Some(_) => {
                if let Err(waiting) = self.live.push(waiting) {
                    waiting.ticket.gone_unsent();
                }
            }
            None => ticket.gone_unsent(),
        }
    }

    fn send_live(&mut self, waiting: Waiting, now: Time) {
        let Waiting { message, qos, ticket, .. } = waiting;
        let Some(connection) = &mut self.connection else { return ticket.gone_unsent() };
        let kept = Kept { message, qos, retain: false, identifiers: Box::default() };
        let id = match qos {
            QoS::AtMostOnce => None,
            _ => Some(self.in_flight.open(qos, None, Some(ticket.clone()))),
        };
        if !connection.send_kept(&kept, id, false, now) {
            if let Some(id) = id {
                self.in_flight.close(id);
            }
            return ticket.gone_unsent();
        }
        if id.is_none() {
            self.live_unacknowledged.retain(|ticket| ticket.is_sent());
            self.live_unacknowledged.push(ticket.clone());
        }
        ticket.sent();
    }

    fn window(&self, options: &Options) -> usize {
        let theirs = self.connection.as_ref().map_or(u16::MAX, |c| c.limits.receive_maximum);
        usize::from(theirs.min(options.max_in_flight))
    }

    /// An acknowledgement of the client.
    pub(crate) fn acknowledge(
        &mut self,
        ack: AckView,
        now: Time,
        options: &Options,
        counters: &Counters,
    ) {
        let awaits = self.in_flight.get_mut(ack.packet_id).map(|open| open.awaits);
        match (ack.packet_type, awaits) {
            (PacketType::PubAck, Some(Awaits::PubAck))
            | (PacketType::PubComp, Some(Awaits::PubComp)) => self.complete(ack),
            // [MQTT-4.3.3-4]: a failure ends it, and no PUBREL is sent.
            (PacketType::PubRec, Some(Awaits::PubRec)) if ack.reason.is_error() => {
                self.complete(ack);
            }
            (PacketType::PubRec, Some(Awaits::PubRec | Awaits::PubComp)) => {
                if let Some(open) = self.in_flight.get_mut(ack.packet_id) {
                    open.awaits = Awaits::PubComp;
                    open.message = None;
                    if let Some(ticket) = &open.live {
                        ticket.delivered();
                    }
                }
                self.say(PacketType::PubRel, ack, ReasonCode::Success);
            }
            // Nothing of that id is open: the client gets to close it.
            (PacketType::PubRec, _) if !ack.reason.is_error() => {
                self.say(PacketType::PubRel, ack, ReasonCode::PacketIdentifierNotFound);
            }
            _ => {}
        }
        self.pump(now, options, counters);
    }

    fn say(&mut self, packet: PacketType, ack: AckView, reason: ReasonCode) {
        if let Some(connection) = &mut self.connection {
            let version = connection.limits.version;
            connection.out.append(|out| encode_ack(packet, ack.packet_id, reason, version, out));
        }
    }

    fn complete(&mut self, ack: AckView) {
        if let Some(open) = self.in_flight.close(ack.packet_id)
            && let Some(ticket) = open.live
        {
            ticket.delivered();
        }
    }

    /// Sends what waits, as far as window and output let it.
    pub(crate) fn pump(&mut self, now: Time, options: &Options, counters: &Counters) {
        let window = self.window(options);
        while self.in_flight.len() < window {
            let Some(connection) = &mut self.connection else { return };
            if connection.out.len() > options.high_water {
                return;
            }
            if let Some(waiting) = self.live.pop(now) {
                self.send_live(waiting, now);
                continue;
            }
            if self.queue.is_empty() {
                return;
            }
            let (next, expired) = self.queue.pop(now);
            counters.dropped_expired.add(expired);
            let Some(kept) = next else { return };
            let open = self.durable.then(|| kept.clone());
            let id = self.in_flight.open(kept.qos, open, None);
            if connection.send_kept(&kept, Some(id), false, now) {
                counters.messages_out.one();
            } else {
                self.in_flight.close(id);
                counters.dropped_too_large.one();
            }
        }
    }
}

impl Connection {
    /// Appends a message that is being routed; false: larger than the client
    /// takes [MQTT-3.1.2-24].
    fn send(
        &mut self,
        forward: &Forward<'_>,
        receiver: &Receiver,
        first: u8,
        id: Option<PacketId>,
    ) -> bool {
        let shape = Shape { v5: self.limits.version.is_v5(), with_id: id.is_some() };
        let limit = self.limits.max_packet_size;
        let out = &mut self.out;
        forward.with_identifiers(shape, &receiver.identifiers, |encoded| {
            if encoded.bytes.len() > limit {
                return false;
            }
            if forward.is_large() {
                let header = encoded.bytes.len() - forward.payload().len();
                let head = Encoded { bytes: &encoded.bytes[..header], ..encoded };
                append(out, head, first, id);
                out.append_shared(forward.shared_payload());
            } else {
                append(out, encoded, first, id);
            }
            true
        })
    }

    /// Appends a message that was kept; false: larger than the client takes.
    fn send_kept(&mut self, kept: &Kept, id: Option<PacketId>, dup: bool, now: Time) -> bool {
        let forward = Forward::of_message(&kept.message, now);
        let receiver = Receiver {
            qos: kept.qos,
            retain_as_published: true,
            identifiers: kept.identifiers.to_vec(),
        };
        let dup = if dup { 0x08 } else { 0 };
        self.send(&forward, &receiver, first_byte(kept.qos, kept.retain) | dup, id)
    }

    fn acknowledge(&mut self, packet: PacketType, id: PacketId) {
        let version = self.limits.version;
        self.out.append(|out| encode_ack(packet, id, ReasonCode::Success, version, out));
    }
}

/// The first byte of a PUBLISH; DUP is the sender's own [MQTT-3.3.1-3].
fn first_byte(qos: QoS, retain: bool) -> u8 {
    0x30 | (qos as u8) << 1 | u8::from(retain)
}

fn append(out: &mut OutputBuffer, encoded: Encoded<'_>, first: u8, id: Option<PacketId>) {
    out.append(|buffer| {
        let start = buffer.len();
        buffer.extend_from_slice(encoded.bytes);
        buffer[start] = first;
        if let Some(id) = id {
            let at = start + encoded.id_at;
            buffer[at..at + 2].copy_from_slice(&id.get().to_be_bytes());
        }
    });
}

fn kept(forward: &Forward<'_>, qos: QoS, receiver: &Receiver, retain: bool) -> Kept {
    Kept {
        message: forward.keep(),
        qos,
        retain,
        identifiers: receiver.identifiers.as_slice().into(),
    }
}
