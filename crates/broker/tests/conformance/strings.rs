//! Strings and integers (MQTT 5.0, 1.5; 3.1.1, 1.5.3).

use latchlight_mqtt::{Packet, ProtocolVersion, QoS, ReasonCode};

use crate::bytes::{
    STANDARDS, connect, field, packet, properties, publish, subscribe, unsubscribe, will,
};
use crate::support::{Client, TestBroker};
use ProtocolVersion::V5;

/// No UTF-8, each in its own way.
const ILL_FORMED: [&[u8]; 6] = [
    &[0xED, 0xA0, 0x80],       // U+D800
    &[0xED, 0xBF, 0xBF],       // U+DFFF
    &[0xC0, 0xAF],             // longer than needed
    &[0x61, 0x80],             // a continuation of nothing
    &[0xE2, 0x82],             // cut off
    &[0xF4, 0x90, 0x80, 0x80], // beyond U+10FFFF
];

/// What no string may have makes each field that is one, in each packet of a
/// client, the end of the connection; what every string may have does not.
///
/// 5.0: [MQTT-1.5.4-1], [MQTT-1.5.7-1], [MQTT-3.1.3-4], [MQTT-3.1.3-11],
/// [MQTT-3.1.3-12], [MQTT-3.3.2-1], [MQTT-3.3.2-13], [MQTT-3.3.2-19],
/// [MQTT-3.8.3-1], [MQTT-3.10.3-1];
/// 3.1.1: [MQTT-1.5.3-1], [MQTT-3.1.3-4], [MQTT-3.1.3-10], [MQTT-3.1.3-11],
/// [MQTT-3.3.2-1], [MQTT-3.8.3-1], [MQTT-3.10.3-1].
#[test]
fn ill_formed_strings_close_the_connection() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        well_formed_is_taken(&broker, version, "ü/\u{10FFFF}\u{FEFF}\u{1}".as_bytes());
        for ill_formed in ILL_FORMED {
            ends_the_connection(&broker, version, ill_formed);
        }
    }
}

/// 5.0: [MQTT-1.5.4-2], [MQTT-4.7.3-2];
/// 3.1.1: [MQTT-1.5.3-2], [MQTT-4.7.3-2].
#[test]
fn a_null_character_closes_the_connection() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        well_formed_is_taken(&broker, version, b"a0b");
        for with_null in [&b"a\0b"[..], b"\0", b"ab\0"] {
            ends_the_connection(&broker, version, with_null);
        }
    }
}

fn well_formed_is_taken(broker: &TestBroker, version: ProtocolVersion, string: &[u8]) {
    for (place, bytes) in connects(version, string) {
        let mut client = Client::open(broker.address(), version);
        client.send_bytes(&bytes);
        match client.next() {
            Packet::ConnAck(ack) => assert_eq!(ack.reason, ReasonCode::Success, "{place}"),
            other => panic!("{place}: {other:?}"),
        }
        client.disconnect();
    }
    for (place, bytes) in packets(version, string) {
        let mut client = Client::connect(broker.address(), version, "sender");
        client.send_bytes(&bytes);
        assert!(
            matches!(client.next(), Packet::PubAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_)),
            "{place}"
        );
        client.disconnect();
    }
}

fn ends_the_connection(broker: &TestBroker, version: ProtocolVersion, string: &[u8]) {
    for (place, bytes) in connects(version, string) {
        let mut client = Client::open(broker.address(), version);
        client.send_bytes(&bytes);
        client.expect_not_let_in(&format!("{string:x?} as {place}"));
    }
    let reasons =
        [ReasonCode::MalformedPacket, ReasonCode::TopicNameInvalid, ReasonCode::TopicFilterInvalid];
    for (place, bytes) in packets(version, string) {
        let mut client = Client::connect(broker.address(), version, "sender");
        client.send_bytes(&bytes);
        client.expect_cut(version, &reasons, &format!("{string:x?} as {place}"));
    }
}

/// CONNECT with the string in each place that it may have.
fn connects(version: ProtocolVersion, string: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let id = || field("id");
    let mut all = vec![
        ("client id", connect(version, 0x02, &[field(string)])),
        ("will topic", connect(version, 0x06, &[id(), will(version, string, "gone")])),
        ("user name", connect(version, 0x82, &[id(), field(string)])),
    ];
    if version == V5 {
        for (place, of_will) in string_properties(string) {
            let will = [properties(version, &of_will), field("topic"), field("gone")].concat();
            all.push((place, connect(version, 0x06, &[id(), will])));
        }
    }
    all
}

/// Other packets that are answered, with the string in each place.
fn packets(version: ProtocolVersion, string: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![
        ("topic name", publish(version, 0x32, string, 7, "payload")),
        ("filter", subscribe(version, 7, string, 0)),
        ("filter to unsubscribe", unsubscribe(version, 7, string)),
    ];
    if version == V5 {
        for (place, of_publish) in string_properties(string) {
            let body = [field("topic"), vec![0, 7], properties(version, &of_publish)].concat();
            all.push((place, packet(0x32, &body)));
        }
    }
    all
}

fn string_properties(string: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let pair = |name: &[u8], value: &[u8]| [vec![0x26], field(name), field(value)].concat();
    vec![
        ("content type", [vec![0x03], field(string)].concat()),
        ("response topic", [vec![0x08], field(string)].concat()),
        ("name of a user property", pair(string, b"value")),
        ("value of a user property", pair(b"name", string)),
    ]
}

/// 5.0: [MQTT-1.5.4-3];
/// 3.1.1: [MQTT-1.5.3-3].
#[test]
fn a_byte_order_mark_is_a_character_like_others() {
    const MARKED: &[u8] = b"\xEF\xBB\xBFa";
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.send_bytes(&subscribe(version, 1, MARKED, 0));
        assert!(matches!(reader.next(), Packet::SubAck(_)));
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        publisher.publish("a", "without", QoS::AtMostOnce);
        publisher.send_bytes(&publish(version, 0x30, MARKED, 0, "with"));
        assert_eq!(reader.next_bytes(), publish(version, 0x30, MARKED, 0, "with"));
        // Nor are they the same client.
        let mut other = Client::open(broker.address(), version);
        other.send_bytes(&connect(version, 0x02, &[field(b"\xEF\xBB\xBFreader")]));
        assert!(matches!(other.next(), Packet::ConnAck(_)));
        reader.expect_nothing();
    }
}

/// 5.0: [MQTT-1.5.5-1].
#[test]
fn lengths_take_the_fewest_bytes() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.subscribe("a", QoS::AtMostOnce);
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        for length in [127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let more = if version == V5 { 4 } else { 3 };
            let payload = "x".repeat(length - more);
            publisher.publish("a", &payload, QoS::AtMostOnce);
            assert!(reader.next_bytes() == publish(version, 0x30, "a", 0, &payload), "{length}");
        }
        // Other lengths are malformed, whatever they count.
        for ping in [&[0xC0, 0x80, 0x00][..], &[0xC0, 0x80, 0x80, 0x80, 0x80, 0x00]] {
            let mut client = Client::connect(broker.address(), version, "client");
            client.send_bytes(ping);
            client.expect_cut(version, &[ReasonCode::MalformedPacket], "a length too long");
        }
    }
}

/// 5.0: [MQTT-1.5.5-1].
#[test]
fn identifiers_take_the_fewest_bytes() {
    let broker = TestBroker::start();
    let as_bytes: [(u32, &[u8]); 7] = [
        (1, &[0x01]),
        (127, &[0x7F]),
        (128, &[0x80, 0x01]),
        (16_383, &[0xFF, 0x7F]),
        (16_384, &[0x80, 0x80, 0x01]),
        (2_097_152, &[0x80, 0x80, 0x80, 0x01]),
        (268_435_455, &[0xFF, 0xFF, 0xFF, 0x7F]),
    ];
    for (identifier, bytes) in as_bytes {
        let mut reader = Client::connect(broker.address(), V5, "reader");
        let identifier_property = [&[0x0B], bytes].concat();
        let body = [vec![0, 1], properties(V5, &identifier_property), field("a"), vec![0]];
        reader.send_bytes(&packet(0x82, &body.concat()));
        assert!(matches!(reader.next(), Packet::SubAck(_)));
        Client::connect(broker.address(), V5, "publisher").publish("a", "b", QoS::AtMostOnce);
        let body = [field("a"), properties(V5, &identifier_property), b"b".into()].concat();
        assert_eq!(reader.next_bytes(), packet(0x30, &body), "{identifier}");
    }
    for bytes in [&[0x81, 0x00][..], &[0x80, 0x80, 0x80, 0x80, 0x01]] {
        let mut client = Client::connect(broker.address(), V5, "client");
        let body = [vec![0, 1], properties(V5, &[&[0x0B], bytes].concat()), field("a"), vec![0]];
        client.send_bytes(&packet(0x82, &body.concat()));
        client.expect_cut(V5, &[ReasonCode::MalformedPacket], "an integer too long");
    }
}
