//! One connection's end of a session: how packets become bytes for it.

use latchlight_mqtt::{
    Framing, Packet, PacketId, PacketType, ProtocolVersion, QoS, ReasonCode, encode_ack, frame,
};

use super::aliases::{OutboundAliases, TopicAs};
use super::in_flight::Kept;
use super::stage::{Passed, Stage};
use super::{OutputBuffer, Receiver};
use crate::burst::Together;
use crate::hooks::Tells;
use crate::message::{Encoded, Forward, Shape};
use crate::seldom::Seldom;
use crate::words::Words;
use crate::{Options, Time, Traffic};

/// What a connection allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    pub(crate) version: ProtocolVersion,
    pub(crate) receive_maximum: u16,
    /// No packet of MQTT is as large as the largest number.
    pub(crate) max_packet_size: u32,
    /// Topic aliases that the client follows.
    pub(crate) topic_alias_maximum: u16,
    /// Whether it wants to be told more than a reason code.
    pub(crate) wants_problem_information: bool,
}

impl ConnectionLimits {
    /// What may stand beside a reason code.
    pub(crate) fn words(&self) -> Words {
        Words {
            version: self.version,
            max_packet_size: self.max_packet_size,
            wants_problem_information: self.wants_problem_information,
        }
    }
}

/// Encodes for one connection, within its limits.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) limits: ConnectionLimits,
    pub(crate) out: OutputBuffer,
    aliases: OutboundAliases,
    /// What packets pass before they go out; mostly nothing.
    stage: Option<Box<Stage>>,
    /// A hook panicked over a packet: the connection is to be closed.
    failed: bool,
    /// When bytes were taken last, or began to wait.
    last_progress: Time,
    /// How many bytes the transport took.
    written: u64,
    /// What was appended and written, and not reported yet.
    pub(crate) sent: Seldom<Traffic>,
}

impl Sender {
    pub(crate) fn new(limits: ConnectionLimits, options: &Options, tells: &Tells) -> Self {
        let topic_alias_maximum = limits.topic_alias_maximum.min(options.topic_alias_maximum);
        Self {
            limits: ConnectionLimits { topic_alias_maximum, ..limits },
            out: OutputBuffer::default(),
            aliases: OutboundAliases::default(),
            stage: Stage::new(tells, limits.words()).map(Box::new),
            failed: false,
            last_progress: 0,
            written: 0,
            sent: Seldom::default(),
        }
    }

    /// Appends a message that is being routed; false: larger than the client
    /// takes [MQTT-3.1.2-24].
    pub(crate) fn send(
        &mut self,
        forward: &Forward<'_>,
        receiver: &Receiver,
        first: u8,
        id: Option<PacketId>,
    ) -> bool {
        self.begins_to_wait(forward.now());
        let shape = Shape { v5: self.limits.version.is_v5(), with_id: id.is_some() };
        let said = self.aliases.look_up(forward.topic(), self.limits.topic_alias_maximum);
        let limit = self.limits.max_packet_size as usize;
        let (out, stage, failed) = (&mut self.out, &self.stage, &mut self.failed);
        let sent = forward.with_extras(shape, &receiver.identifiers, said, |encoded| {
            if encoded.bytes.len() > limit {
                return false;
            }
            if let Some(stage) = stage {
                let mut frame = encoded.bytes.to_vec();
                finish(&mut frame, encoded.id_at, first, id);
                if *failed {
                    return false;
                }
                match stage.pass(frame) {
                    Passed::As(frame) => out.append(|out| out.extend_from_slice(&frame)),
                    Passed::TooLarge => return false,
                    Passed::Failed => {
                        *failed = true;
                        return false;
                    }
                }
            } else if forward.is_large() {
                let header = encoded.bytes.len() - forward.payload().len();
                let head = Encoded { bytes: &encoded.bytes[..header], ..encoded };
                append(out, head, first, id);
                out.append_shared(forward.shared_payload());
            } else {
                append(out, encoded, first, id);
            }
            true
        });
        if let (true, TopicAs::NameAnd(alias)) = (sent, said) {
            self.aliases.told(forward.topic(), alias);
        }
        if sent {
            self.sent.packets += 1;
            self.sent.message(receiver.qos.min(forward.qos), forward.payload().len());
        }
        sent
    }

    /// Appends messages as they are for all of the client's version but for
    /// their packet ids, where it has no more than `high_water` by that; false:
    /// they are to be looked at one by one.
    pub(crate) fn send_together(
        &mut self,
        together: &Together<'_>,
        qos: QoS,
        receiver: &Receiver,
        high_water: usize,
        mut next_id: impl FnMut() -> PacketId,
    ) -> bool {
        let v5 = self.limits.version.is_v5();
        let has_extras = !receiver.identifiers.is_empty() || self.limits.topic_alias_maximum > 0;
        debug_assert!(self.stage.is_none(), "what is watched comes alone");
        if v5 && has_extras {
            return false;
        }
        let frames = together.frames(v5, qos);
        let is_too_large = frames.largest > self.limits.max_packet_size as usize;
        if is_too_large || self.out.len() + frames.bytes.len() > high_water {
            return false;
        }
        self.begins_to_wait(together.now());
        self.out.append(|out| {
            let start = out.len();
            out.extend_from_slice(&frames.bytes);
            for id_at in &frames.ids_at {
                out[start + id_at..][..2].copy_from_slice(&next_id().get().to_be_bytes());
            }
        });
        self.sent.add(&together.traffic(qos));
        true
    }

    /// Appends a message that was kept; false: larger than the client takes.
    pub(crate) fn send_kept(
        &mut self,
        kept: &Kept,
        id: Option<PacketId>,
        dup: bool,
        now: Time,
    ) -> bool {
        let forward = Forward::of_message(&kept.message, now);
        let receiver = Receiver {
            qos: kept.qos,
            retain_as_published: true,
            identifiers: kept.identifiers.to_vec(),
            share: None,
        };
        let dup = if dup { 0x08 } else { 0 };
        self.send(&forward, &receiver, first_byte(kept.qos, kept.retain) | dup, id)
    }

    /// Appends an acknowledgement.
    pub(crate) fn acknowledge(&mut self, packet: PacketType, id: PacketId, reason: ReasonCode) {
        let version = self.limits.version;
        self.put(|out| encode_ack(packet, id, reason, version, out));
        self.sent.packets += 1;
    }

    /// Appends a packet that is no PUBLISH, unless it is larger than the
    /// client takes [MQTT-3.1.2-24].
    pub(crate) fn say(&mut self, packet: &Packet) {
        let version = self.limits.version;
        // What a hook could not look at is not sent; that it ends is said.
        if self.failed && matches!(packet, Packet::Disconnect(_)) {
            self.stage = None;
            self.failed = false;
        }
        let limit = self.limits.max_packet_size;
        let is_larger = |length| length > limit as usize;
        if limit < u32::MAX && packet.encoded_len(version).is_ok_and(is_larger) {
            return;
        }
        self.sent.packets += 1;
        if let Err(error) = self.put(|out| packet.encode(version, out)) {
            tracing::error!(%error, "encode a packet");
        }
    }

    /// Appends so many answers, which are whole packets.
    pub(crate) fn append_answers(&mut self, answers: &[u8], count: u64) {
        self.sent.packets += count;
        if self.stage.is_none() {
            return self.put(|out| out.extend_from_slice(answers));
        }
        let mut rest = answers;
        while let Ok(Framing::Complete(header)) = frame(rest, usize::MAX) {
            let (packet, more) = rest.split_at(header.total_len());
            self.put(|out| out.extend_from_slice(packet));
            rest = more;
        }
    }

    /// Whether a hook panicked over a packet.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Appends the packet that `write` writes.
    fn put<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let Some(stage) = &self.stage else { return self.out.append(write) };
        let mut frame = Vec::new();
        let written = write(&mut frame);
        if !frame.is_empty() && !self.failed {
            match stage.pass(frame) {
                Passed::As(frame) => self.out.append(|out| out.extend_from_slice(&frame)),
                Passed::TooLarge => tracing::error!("a hook made a packet too large to be sent"),
                Passed::Failed => self.failed = true,
            }
        }
        written
    }

    /// So many bytes were written.
    pub(crate) fn progressed(&mut self, bytes: usize, now: Time) {
        self.written += bytes as u64;
        self.last_progress = now;
        self.sent.bytes += bytes as u64;
    }

    /// How many bytes the transport took.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// How many bytes come before what is appended next.
    pub(crate) fn position(&self) -> u64 {
        self.written + self.out.len() as u64
    }

    /// For how long bytes wait without any being taken.
    pub(crate) fn stalled_for(&self, now: Time) -> Time {
        if self.out.is_empty() { 0 } else { now.saturating_sub(self.last_progress) }
    }

    fn begins_to_wait(&mut self, now: Time) {
        if self.out.is_empty() {
            self.last_progress = now;
        }
    }
}

/// The first byte of a PUBLISH; DUP is the sender's own [MQTT-3.3.1-3].
pub(crate) fn first_byte(qos: QoS, retain: bool) -> u8 {
    0x30 | (qos as u8) << 1 | u8::from(retain)
}

fn append(out: &mut OutputBuffer, encoded: Encoded<'_>, first: u8, id: Option<PacketId>) {
    out.append(|buffer| {
        let start = buffer.len();
        buffer.extend_from_slice(encoded.bytes);
        finish(&mut buffer[start..], encoded.id_at, first, id);
    });
}

/// Sets what is the receiver's own.
fn finish(frame: &mut [u8], id_at: usize, first: u8, id: Option<PacketId>) {
    frame[0] = first;
    if let Some(id) = id {
        frame[id_at..id_at + 2].copy_from_slice(&id.get().to_be_bytes());
    }
}
