//! A PUBLISH from its parts, appended to a write buffer.

use crate::writer::{put_binary, put_u16, put_varint, varint_len};
use crate::{EncodeError, LARGEST_REMAINING_LENGTH, PacketId, Properties, ProtocolVersion, QoS};

/// The parts of a PUBLISH, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishParts<'a> {
    /// It may have been delivered before.
    pub dup: bool,
    /// How often it is delivered.
    pub qos: QoS,
    /// Whether it is (to be) kept.
    pub retain: bool,
    /// A topic name; empty where a topic alias stands for it.
    pub topic: &'a str,
    /// With QoS 1 and 2 only.
    pub packet_id: Option<PacketId>,
    /// MQTT 5 only.
    pub properties: &'a Properties,
    /// What is said.
    pub payload: &'a [u8],
}

impl PublishParts<'_> {
    /// Appends the whole packet.
    ///
    /// # Errors
    /// The topic or the packet is too long, or QoS and packet id do not go
    /// together; nothing was appended.
    pub fn encode(&self, version: ProtocolVersion, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encode_header(version, out)?;
        out.extend_from_slice(self.payload);
        Ok(())
    }

    /// Appends everything but the payload, for who sends that from elsewhere.
    /// Gives the offset of the packet id from what was the end of `out`.
    ///
    /// # Errors
    /// As [`PublishParts::encode`].
    pub fn encode_header(
        &self,
        version: ProtocolVersion,
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, EncodeError> {
        if self.packet_id.is_some() == (self.qos == QoS::AtMostOnce) {
            return Err(EncodeError::PacketId);
        }
        let mut properties = Vec::new();
        if version.is_v5() && !self.properties.is_empty() {
            self.properties.encode(&mut properties)?;
        } else if version.is_v5() {
            properties.push(0);
        }
        let start = out.len();
        let remaining = self.remaining(properties.len());
        if remaining > LARGEST_REMAINING_LENGTH {
            return Err(EncodeError::PacketTooLong(remaining));
        }
        let flags = u8::from(self.dup) << 3 | (self.qos as u8) << 1 | u8::from(self.retain);
        out.push(0x30 | flags);
        put_varint(out, remaining);
        if let Err(error) = put_binary(out, self.topic.as_bytes()) {
            out.truncate(start);
            return Err(error);
        }
        let offset = self.packet_id.map(|id| {
            let offset = out.len() - start;
            put_u16(out, id.get());
            offset
        });
        out.extend_from_slice(&properties);
        Ok(offset)
    }

    /// How many bytes [`PublishParts::encode`] appends.
    ///
    /// # Errors
    /// As [`PublishParts::encode`].
    pub fn encoded_len(&self, version: ProtocolVersion) -> Result<usize, EncodeError> {
        let mut header = Vec::new();
        self.encode_header(version, &mut header)?;
        Ok(header.len() + self.payload.len())
    }

    fn remaining(&self, properties: usize) -> usize {
        let id = if self.packet_id.is_some() { 2 } else { 0 };
        2 + self.topic.len() + id + properties + self.payload.len()
    }

    /// How long the fixed header of a packet with this remaining length is.
    pub fn fixed_header_len(remaining: usize) -> usize {
        1 + varint_len(remaining)
    }
}
