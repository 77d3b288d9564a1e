//! PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5, 3.4 to 3.7).

use super::{ALL, NamedPacket, OLD, V5, bad, frame, id, lenient, valid};
use crate::{Packet, PubAck, PubComp, PubRec, PubRel, ReasonCode};

pub(super) fn rows(rows: &mut Vec<NamedPacket>) {
    let (number, success) = (id(0x1234), ReasonCode::Success);
    let bytes = |first| vec![first, 2, 0x12, 0x34];
    valid(rows, "puback", ALL, bytes(0x40), Packet::PubAck(PubAck::new(number, success)));
    valid(rows, "pubrec", ALL, bytes(0x50), Packet::PubRec(PubRec::new(number, success)));
    valid(rows, "pubrel", ALL, bytes(0x62), Packet::PubRel(PubRel::new(number, success)));
    valid(rows, "pubcomp", ALL, bytes(0x70), Packet::PubComp(PubComp::new(number, success)));
    reasons(rows);
    properties(rows);
    broken(rows);
}

fn reasons(rows: &mut Vec<NamedPacket>) {
    let number = id(1);
    let bytes = |first, code| vec![first, 3, 0, 1, code];
    let packet = Packet::PubAck(PubAck::new(number, ReasonCode::QuotaExceeded));
    valid(rows, "puback 5: quota exceeded", &[V5], bytes(0x40, 0x97), packet);
    let packet = Packet::PubRec(PubRec::new(number, ReasonCode::NoMatchingSubscribers));
    valid(rows, "pubrec 5: no matching subscribers", &[V5], bytes(0x50, 0x10), packet);
    let packet = Packet::PubRel(PubRel::new(number, ReasonCode::PacketIdentifierNotFound));
    valid(rows, "pubrel 5: packet id not found", &[V5], bytes(0x62, 0x92), packet);
    let packet = Packet::PubComp(PubComp::new(number, ReasonCode::PacketIdentifierNotFound));
    valid(rows, "pubcomp 5: packet id not found", &[V5], bytes(0x70, 0x92), packet);
    // MQTT 5, 3.4.2.1: success and no properties can be said, or left out.
    let packet = Packet::PubAck(PubAck::new(number, ReasonCode::Success));
    lenient(rows, "puback 5: success, said", &[V5], bytes(0x40, 0), packet.clone());
    lenient(rows, "puback 5: no properties, said", &[V5], vec![0x40, 4, 0, 1, 0, 0], packet);
}

fn properties(rows: &mut Vec<NamedPacket>) {
    let bytes = frame(0x40, &[&[0, 1, 0x87, 11], b"\x1F\0\x01r\x26\0\x01k\0\x01v"]);
    let mut ack = PubAck::new(id(1), ReasonCode::NotAuthorized);
    let values = ack.properties.make_mut();
    values.reason_string = Some("r".into());
    values.user_properties = vec![("k".into(), "v".into())];
    valid(rows, "puback 5: everything", &[V5], bytes, Packet::PubAck(ack));
}

fn broken(rows: &mut Vec<NamedPacket>) {
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    // [MQTT-2.2.1-3]
    bad(rows, "puback: packet id 0", ALL, vec![0x40, 2, 0, 0], protocol);
    bad(rows, "pubrec: packet id 0", ALL, vec![0x50, 2, 0, 0], protocol);
    bad(rows, "puback: half a packet id", ALL, vec![0x40, 1, 1], malformed);
    bad(rows, "puback: a reason before MQTT 5", OLD, vec![0x40, 3, 0, 1, 0], malformed);
    for (name, bytes, reason) in [
        ("puback 5: a reason of another packet", vec![0x40, 3, 0, 1, 0x92], malformed),
        ("pubrec 5: a reason that does not exist", vec![0x50, 3, 0, 1, 0x05], malformed),
        ("pubrel 5: a reason of another packet", vec![0x62, 3, 0, 1, 0x80], malformed),
        ("pubcomp 5: a reason of another packet", vec![0x70, 3, 0, 1, 0x10], malformed),
        ("puback 5: a topic alias", vec![0x40, 7, 0, 1, 0, 3, 0x23, 0, 1], protocol),
        ("puback 5: properties past the end", vec![0x40, 4, 0, 1, 0, 1], malformed),
        ("puback 5: a byte after the properties", vec![0x40, 5, 0, 1, 0, 0, 0], malformed),
    ] {
        bad(rows, name, &[V5], bytes, reason);
    }
    let reasons = &b"\x1F\0\x01r\x1F\0\x01r"[..];
    let bytes = frame(0x40, &[&[0, 1, 0, 8], reasons]);
    bad(rows, "puback 5: a reason string twice", &[V5], bytes, protocol);
}
