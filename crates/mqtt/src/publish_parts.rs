//! A PUBLISH from its parts, appended to a write buffer.

use crate::property::Place;
use crate::topic::check_name;
use crate::writer::{self, put_binary, put_u16};
use crate::{EncodeError, PacketId, PacketType, Properties, ProtocolVersion, QoS};

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
    /// The packet is too long, or would be malformed (the topic, a property,
    /// DUP or packet id that does not go with the QoS); nothing was appended.
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
        self.check(version)?;
        let flags = u8::from(self.dup) << 3 | (self.qos as u8) << 1 | u8::from(self.retain);
        let id = if self.packet_id.is_some() { 2 } else { 0 };
        let fields = 2 + self.topic.len() + id;
        let at_least = fields + self.payload.len() + usize::from(version.is_v5());
        let more = self.payload.len();
        let header_len = writer::packet_before(out, 0x30 | flags, at_least, more, |out| {
            put_binary(out, self.topic.as_bytes())?;
            if let Some(id) = self.packet_id {
                put_u16(out, id.get());
            }
            if version.is_v5() {
                self.properties.encode(Place::Packet(PacketType::Publish), out)?;
            }
            Ok(())
        })?;
        Ok(self.packet_id.map(|_| header_len + 2 + self.topic.len()))
    }

    fn check(&self, version: ProtocolVersion) -> Result<(), EncodeError> {
        // [MQTT-2.2.1-2], [MQTT-2.2.1-3]
        if self.packet_id.is_some() == (self.qos == QoS::AtMostOnce) {
            return Err(EncodeError::PacketId);
        }
        // [MQTT-3.3.1-2]
        if self.dup && self.qos == QoS::AtMostOnce {
            return Err(EncodeError::Dup);
        }
        if self.topic.is_empty() && version.is_v5() && self.properties.topic_alias.is_some() {
            return Ok(());
        }
        Ok(check_name(self.topic)?)
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
}
