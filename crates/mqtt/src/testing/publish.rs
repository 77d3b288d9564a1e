//! PUBLISH (MQTT 5, 3.3).

use super::{ALL, NamedPacket, OLD, V5, bad, frame, id, text, valid};
use crate::{Packet, Publish, QoS, ReasonCode};

const TOPIC: &[u8] = b"\0\x03a/b";

fn packet(change: impl FnOnce(&mut Publish)) -> Packet {
    let mut publish = Publish::new("a/b", "x");
    change(&mut publish);
    Packet::Publish(publish)
}

fn of_qos(qos: QoS) -> impl FnOnce(&mut Publish) {
    move |publish| {
        publish.qos = qos;
        publish.packet_id = Some(id(0x1234));
    }
}

pub(super) fn rows(rows: &mut Vec<NamedPacket>) {
    old(rows);
    five(rows);
    topics(rows);
    first_byte(rows);
    properties(rows);
}

fn old(rows: &mut Vec<NamedPacket>) {
    let number = &[0x12, 0x34][..];
    valid(rows, "publish QoS 0", OLD, frame(0x30, &[TOPIC, b"x"]), packet(|_| {}));
    let one = packet(of_qos(QoS::AtLeastOnce));
    valid(rows, "publish QoS 1", OLD, frame(0x32, &[TOPIC, number, b"x"]), one);
    let again = packet(|publish| {
        of_qos(QoS::ExactlyOnce)(publish);
        publish.dup = true;
        publish.retain = true;
    });
    let bytes = frame(0x3D, &[TOPIC, number, b"x"]);
    valid(rows, "publish QoS 2, DUP, RETAIN", OLD, bytes, again);
    let empty = packet(|publish| publish.payload = Default::default());
    valid(rows, "publish: no payload", OLD, frame(0x30, &[TOPIC]), empty);
    let long = vec![b'y'; 20_000];
    let bytes = frame(0x30, &[TOPIC, &long]);
    let packet = packet(|publish| publish.payload = long.into());
    valid(rows, "publish: 20,000 bytes", OLD, bytes, packet);
}

fn five(rows: &mut Vec<NamedPacket>) {
    let bytes = frame(0x30, &[TOPIC, &[0], b"x"]);
    valid(rows, "publish 5: QoS 0", &[V5], bytes, packet(|_| {}));
    let bytes = frame(0x34, &[TOPIC, &[0x12, 0x34], &[0], b"x"]);
    valid(rows, "publish 5: QoS 2", &[V5], bytes, packet(of_qos(QoS::ExactlyOnce)));
    let all = [
        &[0x01, 1][..],
        &[0x02, 0, 0, 0, 30],
        b"\x03\0\x01t",
        b"\x08\0\x03r/t",
        &[0x09, 0, 2, 0, 0xFF],
        &[0x0B, 1],
        &[0x0B, 0xFF, 0xFF, 0xFF, 0x7F],
        &[0x23, 0, 7],
        b"\x26\0\x01k\0\x01v\x26\0\x01k\0\x01v",
    ]
    .concat();
    let bytes = frame(0x32, &[TOPIC, &[0x12, 0x34], &[all.len() as u8], &all, b"x"]);
    let everything = packet(|publish| {
        of_qos(QoS::AtLeastOnce)(publish);
        let values = publish.properties.make_mut();
        values.payload_format_indicator = Some(1);
        values.message_expiry_interval = Some(30);
        values.content_type = Some("t".into());
        values.response_topic = Some("r/t".into());
        values.correlation_data = Some(vec![0, 0xFF].into());
        values.subscription_identifiers = vec![1, 268_435_455];
        values.topic_alias = Some(7);
        values.user_properties = vec![("k".into(), "v".into()), ("k".into(), "v".into())];
    });
    valid(rows, "publish 5: everything", &[V5], bytes, everything);
    // MQTT 5, 3.3.2.1: the alias stands for the topic.
    let bytes = frame(0x30, &[&[0, 0], &[3, 0x23, 0, 1], b"x"]);
    let aliased = packet(|publish| {
        publish.topic = "".into();
        publish.properties.make_mut().topic_alias = Some(1);
    });
    valid(rows, "publish 5: an alias instead of a topic", &[V5], bytes, aliased);
    // More properties than one byte of length can say.
    let long = "v".repeat(300);
    let property = [&[0x03][..], &text(&long)].concat();
    let bytes = frame(0x30, &[TOPIC, &[0xAF, 0x02], &property, b"x"]);
    let long = packet(|publish| publish.properties.make_mut().content_type = Some(long.into()));
    valid(rows, "publish 5: 303 bytes of properties", &[V5], bytes, long);
}

fn topics(rows: &mut Vec<NamedPacket>) {
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    let name = ReasonCode::TopicNameInvalid;
    for (row, topic, reason) in [
        // [MQTT-3.3.2-2]
        ("publish to `#`", &b"\0\x01#"[..], name),
        ("publish to a topic with `+`", b"\0\x03a/+", name),
        ("publish to a long topic with `#` at its end", b"\0\x0Aabcdefgh/#", name),
        ("publish to a long topic with `+` at its start", b"\0\x09+/bcdefgh", name),
        // [MQTT-4.7.3-1]
        ("publish to nothing", b"\0\0", protocol),
        // [MQTT-1.5.4-1], [MQTT-1.5.4-2], also [MQTT-4.7.3-2]
        ("publish: U+0000 in the topic", b"\0\x03a\0b", malformed),
        ("publish: U+0000 in a long topic", b"\0\x09abcdefg\0i", malformed),
        ("publish: U+0000 and `#` in the topic", b"\0\x03#\0b", malformed),
        ("publish: a surrogate in the topic", b"\0\x03\xED\xBF\xBF", malformed),
        ("publish: a topic that is not UTF-8", b"\0\x09abcdefgh\xFF", malformed),
        ("publish: a topic past the end", b"\0\xFFa", malformed),
        ("publish: half a topic length", b"\0", malformed),
    ] {
        // The 0 is a property length, or payload.
        bad(
            rows,
            row,
            ALL,
            frame(0x30, &[topic, if topic.len() > 1 { &[0] } else { &[] }]),
            reason,
        );
    }
    bad(rows, "publish without fields", ALL, vec![0x30, 0], malformed);
    // [MQTT-4.7.3-4]: spaces, case, slashes and `$` are characters as others.
    let odd = "/ //$Ä/\u{1F512}/";
    let bytes = frame(0x30, &[&text(odd), b"x"]);
    let odd = packet(|publish| publish.topic = odd.into());
    valid(rows, "publish to an odd topic", OLD, bytes, odd);
}

fn first_byte(rows: &mut Vec<NamedPacket>) {
    let malformed = ReasonCode::MalformedPacket;
    let number = &[0, 1][..];
    // [MQTT-3.3.1-4]
    bad(rows, "publish of QoS 3", ALL, frame(0x36, &[TOPIC, number, &[0], b"x"]), malformed);
    // [MQTT-3.3.1-2]
    bad(rows, "publish with DUP of QoS 0", ALL, frame(0x38, &[TOPIC, &[0], b"x"]), malformed);
    // [MQTT-2.2.1-3]
    let bytes = frame(0x32, &[TOPIC, &[0, 0], &[0], b"x"]);
    bad(rows, "publish: packet id 0", ALL, bytes, ReasonCode::ProtocolError);
    bad(rows, "publish: half a packet id", ALL, frame(0x32, &[TOPIC, &[1]]), malformed);
}

fn properties(rows: &mut Vec<NamedPacket>) {
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    for (name, properties, reason) in [
        // [MQTT-3.3.2-8]
        ("publish 5: topic alias 0", &[3, 0x23, 0, 0][..], protocol),
        ("publish 5: topic alias twice", &[6, 0x23, 0, 1, 0x23, 0, 1], protocol),
        ("publish 5: subscription identifier 0", &[2, 0x0B, 0], protocol),
        ("publish 5: payload format 2", &[2, 0x01, 2], malformed),
        // [MQTT-3.3.2-14]
        (
            "publish 5: a wildcard as response topic",
            b"\x04\x08\0\x01#",
            ReasonCode::TopicNameInvalid,
        ),
        ("publish 5: a session expiry", &[5, 0x11, 0, 0, 0, 1], protocol),
        ("publish 5: a reason string", b"\x04\x1F\0\x01r", protocol),
        ("publish 5: a property that does not exist", &[2, 0x05, 0], malformed),
        ("publish 5: a subscription identifier of five bytes", SIX_BYTES, malformed),
        ("publish 5: properties past the end", &[9, 0x01, 1], malformed),
        ("publish 5: a property past the properties", &[2, 0x23, 0, 1], malformed),
        ("publish 5: a content type that is not UTF-8", b"\x04\x03\0\x01\xFF", malformed),
        ("publish 5: no property length", &[], malformed),
    ] {
        bad(rows, name, &[V5], frame(0x30, &[TOPIC, properties]), reason);
    }
}

/// A length of six, and an integer that goes on after four bytes.
const SIX_BYTES: &[u8] = &[6, 0x0B, 0x80, 0x80, 0x80, 0x80, 1];
