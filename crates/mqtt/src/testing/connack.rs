//! CONNACK (MQTT 5, 3.2).

use super::{NamedPacket, OLD, V5, V31, V311, bad, frame, lenient, valid};
use crate::{ConnAck, Packet, QoS, ReasonCode};

fn packet(present: bool, reason: ReasonCode) -> Packet {
    Packet::ConnAck(Box::new(ConnAck::new(present, reason)))
}

pub(super) fn rows(rows: &mut Vec<NamedPacket>) {
    old(rows);
    let taken = packet(false, ReasonCode::Success);
    valid(rows, "connack 5: success", &[V5], vec![0x20, 3, 0, 0, 0], taken);
    let resumed = packet(true, ReasonCode::Success);
    valid(rows, "connack 5: session present", &[V5], vec![0x20, 3, 1, 0, 0], resumed);
    let quota = packet(false, ReasonCode::QuotaExceeded);
    valid(rows, "connack 5: quota exceeded", &[V5], vec![0x20, 3, 0, 0x97, 0], quota);
    everything(rows);
    broken(rows);
}

fn old(rows: &mut Vec<NamedPacket>) {
    for (name, code, reason) in [
        ("connack: accepted", 0, ReasonCode::Success),
        ("connack: refused, version", 1, ReasonCode::UnsupportedProtocolVersion),
        ("connack: refused, client id", 2, ReasonCode::ClientIdentifierNotValid),
        ("connack: refused, unavailable", 3, ReasonCode::ServerUnavailable),
        ("connack: refused, user or password", 4, ReasonCode::BadUserNameOrPassword),
        ("connack: refused, not authorized", 5, ReasonCode::NotAuthorized),
    ] {
        valid(rows, name, OLD, vec![0x20, 2, 0, code], packet(false, reason));
    }
    let resumed = packet(true, ReasonCode::Success);
    valid(rows, "connack 3.1.1: session present", &[V311], vec![0x20, 2, 1, 0], resumed);
    let reserved = packet(false, ReasonCode::Success);
    lenient(rows, "connack 3.1: the reserved byte", &[V31], vec![0x20, 2, 1, 0], reserved);
    let malformed = ReasonCode::MalformedPacket;
    // [MQTT-3.2.2-1]
    bad(rows, "connack 3.1.1: reserved flags", &[V311], vec![0x20, 2, 2, 0], malformed);
    let refused = vec![0x20, 2, 1, 5];
    // 3.1.1: [MQTT-3.2.2-4]
    bad(rows, "connack 3.1.1: refused with a session", &[V311], refused, ReasonCode::ProtocolError);
    bad(rows, "connack: return code 6", OLD, vec![0x20, 2, 0, 6], malformed);
    bad(rows, "connack: properties before MQTT 5", OLD, vec![0x20, 3, 0, 0, 0], malformed);
}

fn everything(rows: &mut Vec<NamedPacket>) {
    let properties = [
        &[0x11, 0, 0, 0, 60][..],
        b"\x12\0\x02id",
        &[0x13, 0, 30],
        b"\x15\0\x01m",
        &[0x16, 0, 1, 0],
        b"\x1A\0\x01i",
        b"\x1C\0\x01s",
        b"\x1F\0\x01r",
        &[0x21, 0, 9],
        &[0x22, 0, 7],
        &[0x24, 1],
        &[0x25, 0],
        b"\x26\0\x01k\0\x01v",
        &[0x27, 0, 0, 1, 0],
        &[0x28, 0],
        &[0x29, 1],
        &[0x2A, 0],
    ]
    .concat();
    let bytes = frame(0x20, &[&[0, 0, properties.len() as u8], &properties]);
    let mut connack = ConnAck::new(false, ReasonCode::Success);
    let values = connack.properties.make_mut();
    values.session_expiry_interval = Some(60);
    values.assigned_client_identifier = Some("id".into());
    values.server_keep_alive = Some(30);
    values.authentication_method = Some("m".into());
    values.authentication_data = Some(vec![0].into());
    values.response_information = Some("i".into());
    values.server_reference = Some("s".into());
    values.reason_string = Some("r".into());
    values.receive_maximum = Some(9);
    values.topic_alias_maximum = Some(7);
    values.maximum_qos = Some(QoS::AtLeastOnce);
    values.retain_available = Some(false);
    values.user_properties = vec![("k".into(), "v".into())];
    values.maximum_packet_size = Some(256);
    values.wildcard_subscription_available = Some(false);
    values.subscription_identifier_available = Some(true);
    values.shared_subscription_available = Some(false);
    valid(rows, "connack 5: everything", &[V5], bytes, Packet::ConnAck(Box::new(connack)));
}

fn broken(rows: &mut Vec<NamedPacket>) {
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    for (name, body, reason) in [
        ("connack 5: reserved flags", &[2, 0, 0][..], malformed),
        // [MQTT-3.2.2-6]
        ("connack 5: refused with a session", &[1, 0x87, 0], protocol),
        // [MQTT-3.2.2-8]
        ("connack 5: a reason of another packet", &[0, 0x10, 0], malformed),
        ("connack 5: a reason that does not exist", &[0, 0x03, 0], malformed),
        ("connack 5: no property length", &[0, 0], malformed),
        ("connack 5: a will delay", &[0, 0, 5, 0x18, 0, 0, 0, 1], protocol),
        ("connack 5: maximum QoS 2", &[0, 0, 2, 0x24, 2], protocol),
        ("connack 5: retain available 2", &[0, 0, 2, 0x25, 2], protocol),
        ("connack 5: a byte after the fields", &[0, 0, 0, 0], malformed),
        ("connack 5: nothing", &[], malformed),
    ] {
        bad(rows, name, &[V5], frame(0x20, &[body]), reason);
    }
}
