//! The tables of MQTT 5, read column by column: which property (table 2-4) and
//! which reason code (table 2-6, and 3-1 for CONNACK) stands in which packet.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use latchlight_mqtt::{
    AckView, DecodeError, Packet, PacketType, PropertyId, ProtocolVersion, PublishView, ReasonCode,
};

const V5: ProtocolVersion = ProtocolVersion::V5;

/// The places of properties, each with what stands around them.
const PLACES: [(&str, u8, &[u8], &[u8]); 14] = [
    ("CONNECT", 0x10, b"\0\x04MQTT\x05\x02\0\0", b"\0\x01c"),
    ("Will", 0x10, b"\0\x04MQTT\x05\x06\0\0\0\0\x01c", b"\0\x01w\0\0"),
    ("CONNACK", 0x20, b"\0\0", b""),
    ("PUBLISH", 0x30, b"\0\x01a", b""),
    ("PUBACK", 0x40, b"\0\x01\0", b""),
    ("PUBREC", 0x50, b"\0\x01\0", b""),
    ("PUBREL", 0x62, b"\0\x01\0", b""),
    ("PUBCOMP", 0x70, b"\0\x01\0", b""),
    ("SUBSCRIBE", 0x82, b"\0\x01", b"\0\x01a\0"),
    ("SUBACK", 0x90, b"\0\x01", b"\0"),
    ("UNSUBSCRIBE", 0xA2, b"\0\x01", b"\0\x01a"),
    ("UNSUBACK", 0xB0, b"\0\x01", b"\0"),
    ("DISCONNECT", 0xE0, b"\0", b""),
    ("AUTH", 0xF0, b"\0", b""),
];

const EVERYWHERE: &str = "CONNECT Will CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP \
    SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK DISCONNECT AUTH";
const REASONS: &str = "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH";

/// Each property encoded, and its places.
const PROPERTIES: [(&[u8], &str); 27] = [
    (b"\x01\x01", "PUBLISH Will"),
    (b"\x02\0\0\0\x01", "PUBLISH Will"),
    (b"\x03\0\x01t", "PUBLISH Will"),
    (b"\x08\0\x01r", "PUBLISH Will"),
    (b"\x09\0\x01\xFF", "PUBLISH Will"),
    (b"\x0B\x01", "PUBLISH SUBSCRIBE"),
    (b"\x11\0\0\0\x01", "CONNECT CONNACK DISCONNECT"),
    (b"\x12\0\x01c", "CONNACK"),
    (b"\x13\0\x01", "CONNACK"),
    (b"\x15\0\x01m", "CONNECT CONNACK AUTH"),
    // CONNECT has it with a method only.
    (b"\x15\0\x01m\x16\0\x01\xFF", "CONNECT CONNACK AUTH"),
    (b"\x17\x01", "CONNECT"),
    (b"\x18\0\0\0\x01", "Will"),
    (b"\x19\x01", "CONNECT"),
    (b"\x1A\0\x01i", "CONNACK"),
    (b"\x1C\0\x01s", "CONNACK DISCONNECT"),
    (b"\x1F\0\x01r", REASONS),
    (b"\x21\0\x01", "CONNECT CONNACK"),
    (b"\x22\0\x01", "CONNECT CONNACK"),
    (b"\x23\0\x01", "PUBLISH"),
    (b"\x24\x01", "CONNACK"),
    (b"\x25\x01", "CONNACK"),
    (b"\x26\0\x01k\0\x01v", EVERYWHERE),
    (b"\x27\0\0\0\x01", "CONNECT CONNACK"),
    (b"\x28\x01", "CONNACK"),
    (b"\x29\x01", "CONNACK"),
    (b"\x2A\x01", "CONNACK"),
];

fn with(place: (&str, u8, &[u8], &[u8]), properties: &[u8]) -> Result<Packet, DecodeError> {
    Packet::decode(bytes_with(place, properties), V5)
}

fn bytes_with(place: (&str, u8, &[u8], &[u8]), properties: &[u8]) -> Bytes {
    let (_, first, before, after) = place;
    let body = [before, &[properties.len() as u8], properties, after].concat();
    [&[first, body.len() as u8], &body[..]].concat().into()
}

fn names(list: &str, name: &str) -> bool {
    list.split_whitespace().any(|one| one == name)
}

#[test]
fn the_table_has_every_property() {
    for (id, (bytes, _)) in PropertyId::ALL.into_iter().zip(PROPERTIES) {
        let last = if id == PropertyId::AuthenticationData { bytes[4] } else { bytes[0] };
        assert_eq!(id as u8, last, "{id:?}");
    }
}

/// MQTT 5, 2.2.2.2
#[test]
fn each_property_stands_in_its_packets_and_in_no_others() {
    for (bytes, places) in PROPERTIES {
        for place in PLACES {
            let decoded = with(place, bytes);
            if names(places, place.0) {
                let packet =
                    decoded.unwrap_or_else(|error| panic!("{bytes:02X?}, {}: {error}", place.0));
                let mut again = Vec::new();
                packet.encode(V5, &mut again).unwrap();
                let found = again.windows(bytes.len()).any(|window| window == bytes);
                assert!(found, "{bytes:02X?} of {} is in {again:02X?}", place.0);
            } else {
                let reason = decoded.map_err(DecodeError::reason);
                assert_eq!(reason, Err(ReasonCode::ProtocolError), "{bytes:02X?}, {}", place.0);
            }
        }
    }
}

#[test]
fn only_user_properties_and_identifiers_of_publish_stand_twice() {
    for (bytes, places) in PROPERTIES {
        for place in PLACES.into_iter().filter(|place| names(places, place.0)) {
            let twice = with(place, &bytes.repeat(2));
            let repeats = bytes[0] == 0x26 || bytes[0] == 0x0B && place.0 == "PUBLISH";
            assert_eq!(twice.is_ok(), repeats, "{bytes:02X?}, {}: {twice:?}", place.0);
        }
    }
}

/// A server's own limit, in each place, and to what is read in place too.
#[test]
fn user_properties_are_limited_in_each_place() {
    const PAIR: &[u8] = b"\x26\0\x01k\0\x01v";
    for place in PLACES {
        for count in [2, 3] {
            let bytes = bytes_with(place, &PAIR.repeat(count));
            let expected = if count > 2 { Err(ReasonCode::QuotaExceeded) } else { Ok(()) };
            let outcome = |error: Option<DecodeError>| error.map_or(Ok(()), |e| Err(e.reason()));
            let packet = Packet::decode_limited(bytes.clone(), V5, 2);
            assert_eq!(outcome(packet.err()), expected, "{}", place.0);
            if place.0 == "PUBLISH" {
                let view = PublishView::decode_limited(&bytes, V5, 2);
                assert_eq!(outcome(view.err()), expected, "{}", place.0);
            } else if matches!(place.0, "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP") {
                let view = AckView::decode_limited(&bytes, V5, 2);
                assert_eq!(outcome(view.err()), expected, "{}", place.0);
            }
        }
    }
}

#[test]
fn numbers_that_are_no_property_are_malformed() {
    for number in 0..=0x7F_u8 {
        if PropertyId::ALL.iter().any(|id| *id as u8 == number) {
            continue;
        }
        for place in PLACES {
            let decoded = with(place, &[number, 0, 1, b'x']).map_err(DecodeError::reason);
            assert_eq!(decoded, Err(ReasonCode::MalformedPacket), "{number}, {}", place.0);
        }
    }
}

const ALL_BUT_AUTH: &str = "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT";

const CODES: [(u8, &str); 43] = [
    (0x00, REASONS),
    (0x01, "SUBACK"),
    (0x02, "SUBACK"),
    (0x04, "DISCONNECT"),
    (0x10, "PUBACK PUBREC"),
    (0x11, "UNSUBACK"),
    (0x18, "AUTH"),
    (0x19, "AUTH"),
    (0x80, ALL_BUT_AUTH),
    (0x81, "CONNACK DISCONNECT"),
    (0x82, "CONNACK DISCONNECT"),
    (0x83, ALL_BUT_AUTH),
    (0x84, "CONNACK"),
    (0x85, "CONNACK"),
    (0x86, "CONNACK"),
    (0x87, ALL_BUT_AUTH),
    (0x88, "CONNACK"),
    (0x89, "CONNACK DISCONNECT"),
    (0x8A, "CONNACK"),
    (0x8B, "DISCONNECT"),
    (0x8C, "CONNACK DISCONNECT"),
    (0x8D, "DISCONNECT"),
    (0x8E, "DISCONNECT"),
    (0x8F, "SUBACK UNSUBACK DISCONNECT"),
    (0x90, "CONNACK PUBACK PUBREC DISCONNECT"),
    (0x91, "PUBACK PUBREC SUBACK UNSUBACK"),
    (0x92, "PUBREL PUBCOMP"),
    (0x93, "DISCONNECT"),
    (0x94, "DISCONNECT"),
    (0x95, "CONNACK DISCONNECT"),
    (0x96, "DISCONNECT"),
    (0x97, "CONNACK PUBACK PUBREC SUBACK DISCONNECT"),
    (0x98, "DISCONNECT"),
    (0x99, "CONNACK PUBACK PUBREC DISCONNECT"),
    (0x9A, "CONNACK DISCONNECT"),
    (0x9B, "CONNACK DISCONNECT"),
    (0x9C, "CONNACK DISCONNECT"),
    (0x9D, "CONNACK DISCONNECT"),
    (0x9E, "SUBACK DISCONNECT"),
    (0x9F, "CONNACK DISCONNECT"),
    (0xA0, "DISCONNECT"),
    (0xA1, "SUBACK DISCONNECT"),
    (0xA2, "SUBACK DISCONNECT"),
];

#[test]
fn each_reason_code_stands_in_its_packets_and_in_no_others() {
    let code = |code| -> Vec<(&str, PacketType, Vec<u8>)> {
        use PacketType::*;
        vec![
            ("CONNACK", ConnAck, vec![0x20, 3, 0, code, 0]),
            ("PUBACK", PubAck, vec![0x40, 3, 0, 1, code]),
            ("PUBREC", PubRec, vec![0x50, 3, 0, 1, code]),
            ("PUBREL", PubRel, vec![0x62, 3, 0, 1, code]),
            ("PUBCOMP", PubComp, vec![0x70, 3, 0, 1, code]),
            ("SUBACK", SubAck, vec![0x90, 4, 0, 1, 0, code]),
            ("UNSUBACK", UnsubAck, vec![0xB0, 4, 0, 1, 0, code]),
            ("DISCONNECT", Disconnect, vec![0xE0, 1, code]),
            ("AUTH", Auth, vec![0xF0, 2, code, 0]),
        ]
    };
    for number in 0..=u8::MAX {
        let places = CODES.iter().find(|(code, _)| *code == number).map(|(_, places)| *places);
        let reason = ReasonCode::try_from(number).ok();
        assert_eq!(reason.map(ReasonCode::code), places.map(|_| number));
        for (name, packet, bytes) in code(number) {
            let allowed = places.is_some_and(|places| names(places, name));
            let decoded = Packet::decode(Bytes::from(bytes), V5).map_err(DecodeError::reason);
            assert_eq!(decoded.is_ok(), allowed, "{number:02X}, {name}: {decoded:?}");
            assert_eq!(reason.is_some_and(|reason| reason.fits(packet)), allowed);
            if !allowed {
                assert_eq!(decoded, Err(ReasonCode::MalformedPacket));
            }
        }
    }
}
