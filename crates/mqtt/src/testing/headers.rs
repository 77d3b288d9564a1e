//! Fixed headers (MQTT 5, 2.1).

use super::{ALL, NamedPacket, OLD, V5, V311, bad, frame, lenient, valid};
use crate::{Packet, PubRel, ReasonCode};

pub(super) fn rows(rows: &mut Vec<NamedPacket>) {
    let malformed = ReasonCode::MalformedPacket;
    valid(rows, "pingreq", ALL, vec![0xC0, 0], Packet::PingReq);
    valid(rows, "pingresp", ALL, vec![0xD0, 0], Packet::PingResp);

    bad(rows, "header: nothing", ALL, vec![], malformed);
    bad(rows, "header: no length", ALL, vec![0xC0], malformed);
    bad(rows, "header: type 0", ALL, vec![0x00, 0], malformed);
    bad(rows, "header: a byte too many", ALL, vec![0xC0, 0, 0], malformed);
    bad(rows, "pingreq with a body", ALL, vec![0xC0, 1, 0], malformed);
    bad(rows, "pingresp with a body", ALL, vec![0xD0, 1, 0], malformed);
    // [MQTT-1.5.5-1]
    bad(rows, "header: a length longer than needed", ALL, vec![0xC0, 0x80, 0], malformed);
    bad(
        rows,
        "header: a length of five bytes",
        ALL,
        vec![0xC0, 0x80, 0x80, 0x80, 0x80, 1],
        malformed,
    );
    bad(
        rows,
        "header: the largest length, without the bytes",
        ALL,
        vec![0x30, 0xFF, 0xFF, 0xFF, 0x7F],
        malformed,
    );
    flags(rows);
}

/// [MQTT-2.1.3-1], 3.1.1: [MQTT-2.2.2-2]: reserved flags.
fn flags(rows: &mut Vec<NamedPacket>) {
    let malformed = ReasonCode::MalformedPacket;
    let id = &[0_u8, 1][..];
    bad(rows, "pingreq with flags", ALL, vec![0xC1, 0], malformed);
    bad(rows, "disconnect with flags", ALL, vec![0xE8, 0], malformed);
    bad(rows, "puback with flags", ALL, frame(0x42, &[id]), malformed);
    bad(rows, "pubrec with flags", ALL, frame(0x52, &[id]), malformed);
    bad(rows, "pubcomp with flags", ALL, frame(0x72, &[id]), malformed);
    // [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1]
    bad(rows, "pubrel without its flag", ALL, frame(0x60, &[id]), malformed);
    bad(rows, "subscribe without its flag", ALL, frame(0x80, &[id, b"\0\x01a\0"]), malformed);
    bad(rows, "unsubscribe without its flag", ALL, frame(0xA0, &[id, b"\0\x01a"]), malformed);
    bad(rows, "pubrel with DUP", &[V311, V5], frame(0x6A, &[id]), malformed);
    let released = PubRel::new(super::id(1), ReasonCode::Success);
    lenient(rows, "3.1: pubrel with DUP", &OLD[..1], frame(0x6A, &[id]), Packet::PubRel(released));
    // 3.1.1: table 2.1, type 15 is reserved.
    bad(rows, "auth before MQTT 5", OLD, vec![0xF0, 0], malformed);
}
