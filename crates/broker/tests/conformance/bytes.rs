//! Packets as bytes, well formed or not, and what a server may do about them.

use latchlight_mqtt::{Packet, ProtocolVersion, ReasonCode};

use crate::support::Client;
use ProtocolVersion::{V5, V31, V311};

/// The versions that the statements are about; 3.1 has none of its own.
pub(crate) const STANDARDS: [ProtocolVersion; 2] = [V311, V5];

/// A packet: its first byte, its length, and what follows.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    while length > 127 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(body);
    bytes
}

/// A field with its length in front.
pub(crate) fn field(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}

/// Properties with their length in front, in MQTT 5; nothing before.
pub(crate) fn properties(version: ProtocolVersion, bytes: &[u8]) -> Vec<u8> {
    if !version.is_v5() {
        return Vec::new();
    }
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// The head of a CONNECT: name, level, flags, a keep alive of 60 s, no properties.
fn connect_head(version: ProtocolVersion, flags: u8) -> Vec<u8> {
    let (name, level) = match version {
        V31 => ("MQIsdp", 3),
        V311 => ("MQTT", 4),
        V5 => ("MQTT", 5),
    };
    [field(name), vec![level, flags, 0, 60], properties(version, &[])].concat()
}

/// A CONNECT with these flags and this payload.
pub(crate) fn connect(version: ProtocolVersion, flags: u8, payload: &[Vec<u8>]) -> Vec<u8> {
    packet(0x10, &[connect_head(version, flags), payload.concat()].concat())
}

/// The fields of a will.
pub(crate) fn will(version: ProtocolVersion, topic: impl AsRef<[u8]>, message: &str) -> Vec<u8> {
    [properties(version, &[]), field(topic), field(message)].concat()
}

/// A PUBLISH: `first` with its flags; an id where they say that there is one.
pub(crate) fn publish(
    version: ProtocolVersion,
    first: u8,
    topic: impl AsRef<[u8]>,
    id: u16,
    payload: &str,
) -> Vec<u8> {
    let id = if first & 0x06 == 0 { Vec::new() } else { id.to_be_bytes().into() };
    packet(first, &[field(topic), id, properties(version, &[]), payload.into()].concat())
}

/// A SUBSCRIBE to one filter.
pub(crate) fn subscribe(
    version: ProtocolVersion,
    id: u16,
    filter: impl AsRef<[u8]>,
    options: u8,
) -> Vec<u8> {
    let id = id.to_be_bytes().to_vec();
    packet(0x82, &[id, properties(version, &[]), field(filter), vec![options]].concat())
}

/// An UNSUBSCRIBE from one filter.
pub(crate) fn unsubscribe(version: ProtocolVersion, id: u16, filter: impl AsRef<[u8]>) -> Vec<u8> {
    let id = id.to_be_bytes().to_vec();
    packet(0xA2, &[id, properties(version, &[]), field(filter)].concat())
}

impl Client {
    /// The server closes without letting the client in: it has said no, or
    /// nothing, in the words of whatever version.
    pub(crate) fn expect_not_let_in(&mut self, after: &str) {
        if let Some(connack) = self.try_next_bytes() {
            assert!(connack[0] == 0x20 && connack[3] != 0, "after {after}: {connack:x?}");
            self.expect_closed();
        }
    }

    /// The server closes as on a malformed packet or a protocol error; in MQTT
    /// 5 it says one of these reasons before.
    pub(crate) fn expect_cut(
        &mut self,
        version: ProtocolVersion,
        reasons: &[ReasonCode],
        after: &str,
    ) {
        match self.try_next() {
            None => assert!(!version.is_v5(), "after {after}: no word"),
            Some(Packet::Disconnect(disconnect)) if version.is_v5() => {
                assert!(reasons.contains(&disconnect.reason), "after {after}: {disconnect:?}");
                self.expect_closed();
            }
            Some(other) => panic!("after {after}: {other:?}"),
        }
    }
}
