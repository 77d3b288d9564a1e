//! Packets that hooks see, and may change or answer, before they are handled.

use latchlight_mqtt::{FixedHeader, Framing, Packet, PacketType, QoS, ReasonCode, frame};

use super::{Client, Next};
use crate::connection::End;
use crate::hooks::{Notice, without_secrets};
use crate::line::Closing;
use crate::read_buffer::Received;
use crate::{Time, Verdict};

pub(super) fn handle(
    client: &mut Client,
    packet: Received<'_>,
    header: FixedHeader,
    now: Time,
) -> Result<Next, End> {
    let came = client.decode(&packet)?;
    if !client.core.hooks.wants.packets {
        return intercepted(client, packet, came, header, now);
    }
    let shown = without_secrets(came.clone());
    client.note(Notice::PacketRead(shown.clone()));
    if !client.core.hooks.tell() {
        return Err(End::protocol(ReasonCode::UnspecifiedError));
    }
    let handled = intercepted(client, packet, came, header, now);
    client.note(Notice::PacketProcessed(shown, outcome(&handled)));
    handled
}

fn outcome(handled: &Result<Next, End>) -> Result<(), ReasonCode> {
    match handled {
        Ok(Next::Go | Next::End(End::Said(_))) => Ok(()),
        Ok(Next::End(end)) | Err(end) => Err(end.reason()),
    }
}

/// Handles what the interceptors make of a packet: the bytes that came, where
/// they leave it alone.
fn intercepted(
    client: &mut Client,
    packet: Received<'_>,
    came: Packet,
    header: FixedHeader,
    now: Time,
) -> Result<Next, End> {
    if !client.core.hooks.steps.read_packet {
        return super::handle(client, packet, header, now);
    }
    let mut changed = came.clone();
    match client.core.hooks.read_packet(&client.info, &mut changed) {
        Verdict::Handle if changed == came => super::handle(client, packet, header, now),
        Verdict::Handle => handle_changed(client, &changed, now),
        Verdict::Answer(answers) => answer(client, &answers),
        Verdict::Close(reason) => Err(End::protocol(reason)),
    }
}

fn handle_changed(client: &mut Client, changed: &Packet, now: Time) -> Result<Next, End> {
    let mut bytes = Vec::new();
    let encoded = changed.encode(client.version, &mut bytes);
    let limit = client.core.options.max_packet_size as usize;
    match (encoded, frame(&bytes, limit)) {
        (Ok(()), Ok(Framing::Complete(header))) => {
            super::handle(client, Received::borrowed(&bytes), header, now)
        }
        _ => Err(unusable("a packet that cannot be")),
    }
}

/// Sends what a hook answers in the broker's place.
fn answer(client: &mut Client, answers: &[Packet]) -> Result<Next, End> {
    for packet in answers {
        match packet.packet_type() {
            PacketType::Disconnect => {
                if client.version.is_v5() {
                    client.answer(&fitting(client, packet));
                }
                let Packet::Disconnect(disconnect) = packet else { continue };
                let closing = Closing { reason: disconnect.reason, say: false, reset: false };
                return Err(End::Closing(closing));
            }
            PacketType::PubAck
            | PacketType::PubRec
            | PacketType::PubRel
            | PacketType::PubComp
            | PacketType::SubAck
            | PacketType::UnsubAck
            | PacketType::PingResp
            | PacketType::Auth => {}
            PacketType::Publish if is_unacknowledged(packet) => {}
            _ => return Err(unusable("an answer that is not a server's to give")),
        }
        if let Some(reason) = reason_of(packet) {
            client.tell_injector(reason);
        }
        client.answer(&fitting(client, packet));
    }
    Ok(Next::Go)
}

/// The answer, with as many words as the client wants and takes.
fn fitting(client: &Client, answer: &Packet) -> Packet {
    let mut answer = answer.clone();
    client.words.fit(&mut answer);
    answer
}

/// What an answer says of what it answers.
fn reason_of(answer: &Packet) -> Option<ReasonCode> {
    match answer {
        Packet::PubAck(ack) => Some(ack.reason),
        Packet::PubRec(ack) => Some(ack.reason),
        Packet::SubAck(ack) => ack.reasons.first().copied(),
        Packet::UnsubAck(ack) => ack.reasons.first().copied(),
        _ => None,
    }
}

fn is_unacknowledged(packet: &Packet) -> bool {
    matches!(packet, Packet::Publish(publish) if publish.qos == QoS::AtMostOnce)
}

fn unusable(what: &'static str) -> End {
    tracing::error!(what, "a hook made");
    End::protocol(ReasonCode::ImplementationSpecificError)
}
