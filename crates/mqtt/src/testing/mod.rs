//! One table of named packets, valid and malformed, for whoever tests against
//! bytes: this codec, the broker, the fuzzers (their seeds). And one check
//! that any bytes can be put through.
//!
//! The bytes are written by hand from the standards, not by the encoder, so
//! that each side of the codec is held against them.
//!
//! Compiled with the feature `testing` only.

mod acks;
mod check;
mod connack;
mod connect;
mod headers;
mod publish;
mod sessions;
mod subscribe;

pub use check::check;

use crate::{Packet, PacketId, ProtocolVersion, ReasonCode};

const V31: ProtocolVersion = ProtocolVersion::V31;
const V311: ProtocolVersion = ProtocolVersion::V311;
const V5: ProtocolVersion = ProtocolVersion::V5;
const ALL: &[ProtocolVersion] = &[V31, V311, V5];
const OLD: &[ProtocolVersion] = &[V31, V311];

/// A row of the table.
#[derive(Debug, Clone)]
pub struct NamedPacket {
    /// What it is, unique.
    pub name: &'static str,
    /// In which versions this holds.
    pub versions: &'static [ProtocolVersion],
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What comes of them.
    pub outcome: Outcome,
}

/// What decoding must give.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// This packet, which encodes to the same bytes again.
    Packet(Packet),
    /// This packet, which encodes to other, shorter or stricter bytes.
    Lenient(Packet),
    /// An error with this reason code.
    Error(ReasonCode),
}

/// The table.
pub fn packets() -> Vec<NamedPacket> {
    let mut rows = Vec::new();
    headers::rows(&mut rows);
    connect::rows(&mut rows);
    connack::rows(&mut rows);
    publish::rows(&mut rows);
    acks::rows(&mut rows);
    subscribe::rows(&mut rows);
    sessions::rows(&mut rows);
    rows
}

/// A frame: the first byte, the length, the fields joined.
fn frame(first: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = fields.concat();
    let mut bytes = vec![first];
    let mut length = body.len();
    while length > 127 {
        bytes.push((length % 128) as u8 | 128);
        length /= 128;
    }
    bytes.push(length as u8);
    bytes.extend(body);
    bytes
}

/// A string or binary field: its length in two bytes, and itself.
fn text(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text);
    bytes
}

fn valid(
    rows: &mut Vec<NamedPacket>,
    name: &'static str,
    versions: &'static [ProtocolVersion],
    bytes: Vec<u8>,
    packet: Packet,
) {
    rows.push(NamedPacket { name, versions, bytes, outcome: Outcome::Packet(packet) });
}

fn lenient(
    rows: &mut Vec<NamedPacket>,
    name: &'static str,
    versions: &'static [ProtocolVersion],
    bytes: Vec<u8>,
    packet: Packet,
) {
    rows.push(NamedPacket { name, versions, bytes, outcome: Outcome::Lenient(packet) });
}

fn bad(
    rows: &mut Vec<NamedPacket>,
    name: &'static str,
    versions: &'static [ProtocolVersion],
    bytes: Vec<u8>,
    reason: ReasonCode,
) {
    rows.push(NamedPacket { name, versions, bytes, outcome: Outcome::Error(reason) });
}

fn id(id: u16) -> PacketId {
    PacketId::new(id).expect("the table has no packet id 0")
}
