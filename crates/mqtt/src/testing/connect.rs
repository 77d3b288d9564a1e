//! CONNECT (MQTT 5, 3.1).

use super::{ALL, NamedPacket, bad, frame, lenient, text, valid};
use crate::{Connect, Packet, ProtocolVersion, QoS, ReasonCode, Will};

fn packet(version: ProtocolVersion, change: impl FnOnce(&mut Connect)) -> Packet {
    let mut connect = Connect::new(version, "door");
    change(&mut connect);
    Packet::Connect(Box::new(connect))
}

fn will(topic: &str) -> Will {
    Will {
        topic: topic.try_into().expect("the table's topics are valid"),
        payload: "gone".into(),
        qos: QoS::AtLeastOnce,
        retain: true,
        properties: Default::default(),
    }
}

const OLDEST: &[u8] = b"\0\x06MQIsdp\x03";
const FOUR: &[u8] = b"\0\x04MQTT\x04";
const FIVE: &[u8] = b"\0\x04MQTT\x05";
const KEEP: &[u8] = &[0, 60];
const DOOR: &[u8] = b"\0\x04door";

pub(super) fn rows(rows: &mut Vec<NamedPacket>) {
    plain(rows);
    with_everything(rows);
    protocol(rows);
    flags(rows);
    client_id(rows);
    properties(rows);
    fields(rows);
}

fn plain(rows: &mut Vec<NamedPacket>) {
    use ProtocolVersion::{V5, V31, V311};
    for (name, version, head, none) in [
        ("connect 3.1", V31, OLDEST, &[][..]),
        ("connect 3.1.1", V311, FOUR, &[]),
        ("connect 5", V5, FIVE, &[0]),
    ] {
        let bytes = frame(0x10, &[head, &[2], KEEP, none, DOOR]);
        valid(rows, name, ALL, bytes, packet(version, |_| {}));
    }
    let resumed = frame(0x10, &[FOUR, &[0], &[0, 0], DOOR]);
    valid(
        rows,
        "connect 3.1.1: a kept session, no keep alive",
        ALL,
        resumed,
        packet(V311, |connect| {
            connect.clean_start = false;
            connect.keep_alive = 0;
        }),
    );
}

/// A will, a user name and a password.
fn fill(connect: &mut Connect) {
    connect.will = Some(will("a/b"));
    connect.username = Some("user".into());
    connect.password = Some(vec![0, 0xFF].into());
}

/// The fields of [`fill`]: the will's, and the credentials.
const WILL: &[u8] = b"\0\x03a/b\0\x04gone";
const CREDENTIALS: &[u8] = b"\0\x04user\0\x02\0\xFF";

fn with_everything(rows: &mut Vec<NamedPacket>) {
    use ProtocolVersion::{V5, V311};
    let bytes = frame(0x10, &[FOUR, &[0xEE], KEEP, DOOR, WILL, CREDENTIALS]);
    valid(rows, "connect 3.1.1: will, user and password", ALL, bytes, packet(V311, fill));

    let (own, wills) = (own_properties(), will_properties());
    let (own_len, wills_len) = (&[own.len() as u8], &[wills.len() as u8]);
    let head = [FIVE, &[0xEE], KEEP, own_len, &own, DOOR].concat();
    let bytes = frame(0x10, &[&head, wills_len, &wills, WILL, CREDENTIALS]);
    let packet = packet(V5, |connect| {
        fill(connect);
        let own = connect.properties.make_mut();
        own.session_expiry_interval = Some(3600);
        own.authentication_method = Some("m".into());
        own.authentication_data = Some(vec![0, 1].into());
        own.request_problem_information = Some(false);
        own.request_response_information = Some(true);
        own.receive_maximum = Some(16);
        own.topic_alias_maximum = Some(5);
        own.user_properties = vec![("k".into(), "v".into()), ("k".into(), "".into())];
        own.maximum_packet_size = Some(65_536);
        let will = connect.will.as_mut().expect("it was set above");
        let wills = will.properties.make_mut();
        wills.payload_format_indicator = Some(1);
        wills.message_expiry_interval = Some(9);
        wills.content_type = Some("t".into());
        wills.response_topic = Some("r/t".into());
        wills.correlation_data = Some(vec![0].into());
        wills.will_delay_interval = Some(5);
        wills.user_properties = vec![("w".into(), "x".into())];
    });
    valid(rows, "connect 5: everything", ALL, bytes, packet);
}

fn own_properties() -> Vec<u8> {
    [
        &[0x11, 0, 0, 0x0E, 0x10][..],
        b"\x15\0\x01m",
        &[0x16, 0, 2, 0, 1],
        &[0x17, 0],
        &[0x19, 1],
        &[0x21, 0, 16],
        &[0x22, 0, 5],
        b"\x26\0\x01k\0\x01v\x26\0\x01k\0\0",
        &[0x27, 0, 1, 0, 0],
    ]
    .concat()
}

fn will_properties() -> Vec<u8> {
    [
        &[0x01, 1][..],
        &[0x02, 0, 0, 0, 9],
        b"\x03\0\x01t",
        b"\x08\0\x03r/t",
        &[0x09, 0, 1, 0],
        &[0x18, 0, 0, 0, 5],
        b"\x26\0\x01w\0\x01x",
    ]
    .concat()
}

fn protocol(rows: &mut Vec<NamedPacket>) {
    let version = ReasonCode::UnsupportedProtocolVersion;
    // [MQTT-3.1.2-2]; the names and levels belong together.
    for (name, head) in [
        ("connect: level 6", &b"\0\x04MQTT\x06"[..]),
        ("connect: level 0", b"\0\x04MQTT\0"),
        ("connect: level 3 of MQTT", b"\0\x04MQTT\x03"),
        ("connect: level 4 of MQIsdp", b"\0\x06MQIsdp\x04"),
        ("connect: a bridge of 3.1", b"\0\x06MQIsdp\x83"),
        ("connect: a bridge of 3.1.1", b"\0\x04MQTT\x84"),
    ] {
        bad(rows, name, ALL, frame(0x10, &[head, &[2], KEEP, DOOR]), version);
    }
    let malformed = ReasonCode::MalformedPacket;
    // [MQTT-3.1.2-1]
    for (name, head) in [
        ("connect: another name", &b"\0\x04mqtt\x04"[..]),
        ("connect: no name", b"\0\0\x04"),
        ("connect: a name that is HTTP", b"GET / HTTP/1.1\r\n"),
    ] {
        bad(rows, name, ALL, frame(0x10, &[head, &[2], KEEP, DOOR]), malformed);
    }
}

fn flags(rows: &mut Vec<NamedPacket>) {
    use ProtocolVersion::V5;
    let malformed = ReasonCode::MalformedPacket;
    for (name, head, flags) in [
        // [MQTT-3.1.2-3]
        ("connect 3.1.1: the reserved flag", FOUR, 0x03),
        // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
        ("connect 3.1.1: will QoS without will", FOUR, 0x0A),
        ("connect 3.1.1: will retain without will", FOUR, 0x22),
        // 3.1.1: [MQTT-3.1.2-22]
        ("connect 3.1.1: a password, no user", FOUR, 0x42),
        ("connect 3.1: a password, no user", OLDEST, 0x42),
        // [MQTT-3.1.2-12]
        ("connect 3.1.1: will QoS 3", FOUR, 0x1E),
    ] {
        let tail = &b"\0\x01a\0\x01b"[..];
        bad(rows, name, ALL, frame(0x10, &[head, &[flags], KEEP, DOOR, tail]), malformed);
    }
    let bytes = frame(0x10, &[FIVE, &[0x03], KEEP, &[0], DOOR]);
    bad(rows, "connect 5: the reserved flag", ALL, bytes, malformed);
    let bytes = frame(0x10, &[FIVE, &[0x42], KEEP, &[0], DOOR, b"\0\x01p"]);
    let alone = packet(V5, |connect| connect.password = Some("p".into()));
    valid(rows, "connect 5: a password, no user", ALL, bytes, alone);
    let bytes = frame(0x10, &[OLDEST, &[0x03], KEEP, DOOR]);
    let oldest = packet(ProtocolVersion::V31, |_| {});
    lenient(rows, "connect 3.1: the reserved flag", ALL, bytes, oldest);
}

fn client_id(rows: &mut Vec<NamedPacket>) {
    use ProtocolVersion::{V5, V311};
    let none = &[0, 0][..];
    let unnamed = |connect: &mut Connect| connect.client_id = "".into();
    let bytes = frame(0x10, &[FOUR, &[2], KEEP, none]);
    // 3.1.1: [MQTT-3.1.3-7]
    valid(rows, "connect 3.1.1: no client id", ALL, bytes, packet(V311, unnamed));
    let bytes = frame(0x10, &[FIVE, &[0], KEEP, &[0], none]);
    let kept = packet(V5, |connect| {
        unnamed(connect);
        connect.clean_start = false;
    });
    valid(rows, "connect 5: no client id, no clean start", ALL, bytes, kept);
    let invalid = ReasonCode::ClientIdentifierNotValid;
    // 3.1.1: [MQTT-3.1.3-8]
    let bytes = frame(0x10, &[FOUR, &[0], KEEP, none]);
    bad(rows, "connect 3.1.1: no client id, a kept session", ALL, bytes, invalid);
    let bytes = frame(0x10, &[OLDEST, &[2], KEEP, none]);
    bad(rows, "connect 3.1: no client id", ALL, bytes, invalid);
    for (name, client_id) in [
        // [MQTT-1.5.4-2]
        ("connect: U+0000 in the client id", &b"\0\x03a\0b"[..]),
        // [MQTT-1.5.4-1]: a surrogate, an overlong form, a lone byte, one cut short.
        ("connect: a surrogate in the client id", b"\0\x03\xED\xA0\x80"),
        ("connect: an overlong client id", b"\0\x02\xC0\xAF"),
        ("connect: Latin-1 in the client id", b"\0\x01\xE9"),
        ("connect: a client id that ends within a character", b"\0\x02\xE2\x82"),
        ("connect: a code point past U+10FFFF", b"\0\x04\xF4\x90\x80\x80"),
    ] {
        let bytes = frame(0x10, &[FOUR, &[2], KEEP, client_id]);
        bad(rows, name, ALL, bytes, ReasonCode::MalformedPacket);
    }
    // [MQTT-1.5.4-3]: U+FEFF stays; control and non-characters are allowed.
    let odd = "\u{FEFF}\u{1}\u{9F}\u{FFFF}\u{10FFFF}é";
    let bytes = frame(0x10, &[FOUR, &[2], KEEP, &text(odd)]);
    let named = packet(V311, |connect| connect.client_id = odd.into());
    valid(rows, "connect 3.1.1: an odd client id", ALL, bytes, named);
}

fn properties(rows: &mut Vec<NamedPacket>) {
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    for (name, properties, reason) in [
        ("connect 5: receive maximum 0", &[0x21, 0, 0][..], protocol),
        ("connect 5: maximum packet size 0", &[0x27, 0, 0, 0, 0], protocol),
        ("connect 5: request problem information 2", &[0x17, 2], protocol),
        ("connect 5: session expiry twice", &[0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1], protocol),
        ("connect 5: a topic alias", &[0x23, 0, 1], protocol),
        ("connect 5: will delay outside the will", &[0x18, 0, 0, 0, 1], protocol),
        ("connect 5: data without a method", &[0x16, 0, 0], protocol),
        ("connect 5: property 0", &[0x00], malformed),
        ("connect 5: property 4", &[0x04, 1], malformed),
        ("connect 5: property 127", &[0x7F, 1], malformed),
        ("connect 5: a property id longer than needed", &[0xA1, 0x00, 0, 1], malformed),
        ("connect 5: a property cut short", &[0x21, 0], malformed),
        ("connect 5: U+0000 in a user property", b"\x26\0\x01\0\0\x01v", malformed),
    ] {
        let length = &[properties.len() as u8][..];
        let bytes = frame(0x10, &[FIVE, &[2], KEEP, length, properties, DOOR]);
        bad(rows, name, ALL, bytes, reason);
    }
    let bytes = frame(0x10, &[FIVE, &[2], KEEP, &[100], DOOR]);
    bad(rows, "connect 5: more properties than packet", ALL, bytes, malformed);
    let bytes = frame(0x10, &[FIVE, &[2], KEEP, &[0x80, 0], DOOR]);
    bad(rows, "connect 5: a property length longer than needed", ALL, bytes, malformed);
    let with_will = &[0x06][..];
    let bytes = frame(0x10, &[FIVE, with_will, KEEP, &[0], DOOR, &[3, 0x21, 0, 1], b"\0\x01a\0\0"]);
    bad(rows, "connect 5: receive maximum in the will", ALL, bytes, protocol);
}

fn fields(rows: &mut Vec<NamedPacket>) {
    let malformed = ReasonCode::MalformedPacket;
    let bytes = frame(0x10, &[FOUR, &[2], KEEP, DOOR, b"x"]);
    bad(rows, "connect 3.1.1: a byte after the fields", ALL, bytes, malformed);
    let bytes = frame(0x10, &[FOUR, &[0x82], KEEP, DOOR]);
    bad(rows, "connect 3.1.1: no user name where one is said", ALL, bytes, malformed);
    let bytes = frame(0x10, &[FOUR, &[2], KEEP, b"\xFF\xFFdoor"]);
    bad(rows, "connect 3.1.1: a client id past the end", ALL, bytes, malformed);
    bad(rows, "connect: no fields", ALL, vec![0x10, 0], malformed);
    let name = ReasonCode::TopicNameInvalid;
    for (row, topic) in [
        ("connect 3.1.1: a will to a wildcard", &b"\0\x03a/#"[..]),
        ("connect 3.1.1: a will to nowhere", b"\0\0"),
    ] {
        let bytes = frame(0x10, &[FOUR, &[6], KEEP, DOOR, topic, b"\0\x01x"]);
        bad(rows, row, ALL, bytes, name);
    }
}
