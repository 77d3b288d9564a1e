//! The table of named packets, whole, cut and mutated.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use bytes::Bytes;
use latchlight_mqtt::testing::{NamedPacket, Outcome, check, packets};
use latchlight_mqtt::{DecodeError, Framing, Packet, PacketType, ProtocolVersion, frame};

const VERSIONS: [ProtocolVersion; 3] =
    [ProtocolVersion::V31, ProtocolVersion::V311, ProtocolVersion::V5];

/// Long packets are cut and mutated near their ends only: between them there
/// is nothing but payload.
fn positions(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let len = bytes.len();
    (0..len).filter(move |at| *at < 512 || *at + 16 > len)
}

#[test]
fn names_are_unique() {
    let mut names = HashSet::new();
    for row in packets() {
        assert!(names.insert(row.name), "{} stands twice", row.name);
    }
}

#[test]
fn every_type_is_there_valid_and_malformed() {
    let (mut valid, mut malformed) = (HashSet::new(), HashSet::new());
    for NamedPacket { bytes, outcome, versions, .. } in packets() {
        let types = match outcome {
            Outcome::Packet(_) | Outcome::Lenient(_) => &mut valid,
            Outcome::Error(_) => &mut malformed,
        };
        if let Some(Ok(packet)) = bytes.first().map(|first| PacketType::of(*first)) {
            types.extend(versions.iter().map(|version| (packet, *version)));
        }
    }
    for number in 1..=15_u8 {
        let packet = PacketType::of(number << 4).unwrap();
        for version in VERSIONS {
            assert!(malformed.contains(&(packet, version)), "no malformed {packet:?} of {version}");
            if packet != PacketType::Auth || version == ProtocolVersion::V5 {
                assert!(valid.contains(&(packet, version)), "no valid {packet:?} of {version}");
            }
        }
    }
}

#[test]
fn every_packet_decodes_as_the_table_says() {
    let mut wrong = Vec::new();
    for NamedPacket { name, versions, bytes, outcome } in packets() {
        for version in versions {
            let decoded = Packet::decode(Bytes::from(bytes.clone()), *version);
            let right = match (&decoded, &outcome) {
                (Ok(decoded), Outcome::Packet(packet) | Outcome::Lenient(packet)) => {
                    decoded == packet
                }
                (Err(error), Outcome::Error(reason)) => error.reason() == *reason,
                _ => false,
            };
            if !right {
                wrong.push(format!("{name}, {version}: {decoded:?} instead of {outcome:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_valid_packet_encodes_to_its_bytes() {
    for NamedPacket { name, versions, bytes, outcome } in packets() {
        let (packet, same) = match outcome {
            Outcome::Packet(packet) => (packet, true),
            Outcome::Lenient(packet) => (packet, false),
            Outcome::Error(_) => continue,
        };
        for version in versions {
            let mut encoded = Vec::new();
            packet.encode(*version, &mut encoded).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(encoded == bytes, same, "{name}, {version}: {encoded:02X?}");
            assert_eq!(packet.encoded_len(*version), Ok(encoded.len()), "{name}, {version}");
        }
    }
}

#[test]
fn every_packet_agrees_with_itself() {
    for NamedPacket { bytes, .. } in packets() {
        for version in VERSIONS {
            check(&bytes, version);
        }
    }
}

/// C12: cut, the packet is either waited for or refused.
#[test]
fn every_packet_cut_at_every_byte_is_incomplete_or_an_error() {
    for NamedPacket { name, bytes, outcome, .. } in packets() {
        for at in positions(&bytes) {
            let cut = &bytes[..at];
            if let Ok(Framing::Complete(header)) = frame(cut, usize::MAX) {
                let refused = matches!(outcome, Outcome::Error(_));
                assert!(refused, "{name} is whole after {at} bytes: {header:?}");
            }
            for version in VERSIONS {
                check(cut, version);
            }
        }
    }
}

/// What a frame says to be missing is what is missing, byte by byte.
#[test]
fn what_is_needed_never_exceeds_what_comes() {
    for NamedPacket { name, bytes, outcome, .. } in packets() {
        if matches!(outcome, Outcome::Error(_)) {
            continue;
        }
        for at in positions(&bytes) {
            match frame(&bytes[..at], bytes.len()) {
                Ok(Framing::Incomplete { needed }) => {
                    assert!(needed >= 1 && at + needed <= bytes.len(), "{name} at {at}: {needed}");
                }
                other => panic!("{name} at {at}: {other:?}"),
            }
        }
        let whole = frame(&bytes, bytes.len());
        let Ok(Framing::Complete(header)) = whole else { panic!("{name}: {whole:?}") };
        assert_eq!(header.total_len(), bytes.len(), "{name}");
        let smaller = frame(&bytes[..bytes.len().min(4)], bytes.len() - 1);
        assert!(matches!(smaller, Err(DecodeError::TooLarge { .. })), "{name}: {smaller:?}");
    }
}

/// C12: whatever one byte becomes, nothing panics and nothing disagrees.
#[test]
fn every_packet_with_every_byte_mutated_is_decoded_or_refused() {
    for NamedPacket { bytes, versions, .. } in packets() {
        for at in positions(&bytes) {
            let mut mutated = bytes.clone();
            let values = [0x00, 0x01, 0x02, 0x7F, 0x80, 0xFF];
            let turned = (0..8).map(|bit| bytes[at] ^ (1 << bit));
            for value in values.into_iter().chain(turned) {
                mutated[at] = value;
                for version in versions {
                    check(&mutated, *version);
                }
            }
        }
    }
}

/// C12 once more: a byte too many, a byte too few, within the packet.
#[test]
fn every_packet_with_a_byte_put_in_or_left_out_is_decoded_or_refused() {
    for NamedPacket { bytes, versions, .. } in packets() {
        for at in positions(&bytes).filter(|at| *at < 128) {
            for version in versions {
                let mut shorter = bytes.clone();
                shorter.remove(at);
                check(&shorter, *version);
                for value in [0x00, 0x01, 0x26, 0x80, 0xFF] {
                    let mut longer = bytes.clone();
                    longer.insert(at, value);
                    check(&longer, *version);
                }
            }
        }
    }
}
