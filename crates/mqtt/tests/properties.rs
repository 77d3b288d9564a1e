//! What holds for every packet, and for every byte string.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use latchlight_mqtt::testing::{check, packets};
use latchlight_mqtt::{Framing, Packet, ProtocolVersion, PublishParts, PublishView, frame};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use support::arbitrary;

fn version() -> impl Strategy<Value = ProtocolVersion> {
    select(vec![ProtocolVersion::V31, ProtocolVersion::V311, ProtocolVersion::V5])
}

fn packet() -> impl Strategy<Value = (ProtocolVersion, Packet)> {
    version().prop_flat_map(|version| (Just(version), arbitrary::packet(version)))
}

fn publish() -> impl Strategy<Value = (ProtocolVersion, Packet)> {
    version().prop_flat_map(|version| (Just(version), arbitrary::publish(version)))
}

fn encoded(packet: &Packet, version: ProtocolVersion) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn a_packet_survives_encoding_and_decoding((version, packet) in packet()) {
        let bytes = encoded(&packet, version);
        prop_assert_eq!(packet.encoded_len(version), Ok(bytes.len()));
        let framing = frame(&bytes, bytes.len()).unwrap();
        let Framing::Complete(header) = framing else { panic!("not whole: {framing:?}") };
        prop_assert_eq!(header.total_len(), bytes.len());
        prop_assert_eq!(header.packet_type(), Ok(packet.packet_type()));
        check(&bytes, version);
        prop_assert_eq!(Packet::decode(Bytes::from(bytes), version), Ok(packet));
    }

    /// Also a packet that was made for another version.
    #[test]
    fn what_encodes_decodes((_, packet) in packet(), version in version()) {
        let mut bytes = Vec::new();
        if packet.encode(version, &mut bytes).is_ok() {
            let again = Packet::decode(Bytes::from(bytes), version);
            prop_assert_eq!(again.map(|again| again.packet_type()), Ok(packet.packet_type()));
        } else {
            prop_assert!(bytes.is_empty());
        }
    }

    #[test]
    fn a_packet_is_appended_to_what_stands_there((version, packet) in packet()) {
        let mut bytes = b"before".to_vec();
        packet.encode(version, &mut bytes).unwrap();
        prop_assert_eq!(&bytes[..6], b"before");
        prop_assert_eq!(&bytes[6..], &encoded(&packet, version)[..]);
    }

    #[test]
    fn a_view_of_a_publish_is_the_publish((version, packet) in publish()) {
        let bytes = encoded(&packet, version);
        let view = PublishView::decode(&bytes, version).unwrap();
        prop_assert_eq!(view.properties.is_empty(), view.properties.iter().next().is_none());
        prop_assert_eq!(Packet::Publish(view.to_owned()), packet);
    }

    #[test]
    fn a_header_and_the_payload_apart_are_the_packet((version, packet) in publish()) {
        let Packet::Publish(publish) = &packet else { unreachable!("{packet:?}") };
        let parts: PublishParts<'_> = publish.parts();
        let mut bytes = b"before".to_vec();
        let at = parts.encode_header(version, &mut bytes).unwrap();
        bytes.extend_from_slice(&publish.payload);
        let bytes = &bytes[6..];
        prop_assert_eq!(bytes, &encoded(&packet, version)[..]);
        let view = PublishView::decode(bytes, version).unwrap();
        prop_assert_eq!(at, view.packet_id_offset);
    }

    #[test]
    fn no_byte_string_panics(bytes in vec(any::<u8>(), 0..64), version in version()) {
        check(&bytes, version);
    }

    /// Random bytes rarely get past the fixed header; these do.
    #[test]
    fn no_body_panics(
        first in any::<u8>(),
        body in vec(prop_oneof![Just(0_u8), 0..0x30_u8, any::<u8>()], 0..64),
        version in version(),
    ) {
        let mut bytes = vec![first, body.len() as u8];
        bytes.extend(body);
        check(&bytes, version);
    }

    #[test]
    fn no_damaged_packet_panics(
        (version, packet) in packet(),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
        cut in any::<Index>(),
    ) {
        let mut bytes = encoded(&packet, version);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        check(&bytes, version);
        check(&bytes[..cut.index(bytes.len())], version);
    }

    /// Two packets of the table in pieces: the first ends where it must.
    #[test]
    fn a_stream_is_cut_into_its_packets((version, packet) in packet(), row in any::<Index>()) {
        let table = packets();
        let next = &table[row.index(table.len())].bytes;
        let mut stream = encoded(&packet, version);
        let len = stream.len();
        stream.extend_from_slice(next);
        let framing = frame(&stream, stream.len()).unwrap();
        let Framing::Complete(header) = framing else { panic!("not whole: {framing:?}") };
        prop_assert_eq!(header.total_len(), len);
    }
}
