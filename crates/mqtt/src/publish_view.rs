//! A PUBLISH in a read buffer, taken apart in place.

use bytes::Bytes;

use crate::framing::frame_whole;
use crate::property::Place;
use crate::publish::{check_alias, flags};
use crate::reader::Reader;
use crate::{
    DecodeError, PacketId, PacketType, PropertiesView, PropertyId, ProtocolVersion, Publish, QoS,
};

/// A PUBLISH in a read buffer; decoding it allocates and copies nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishView<'a> {
    /// It may have been delivered before.
    pub dup: bool,
    /// How often it is delivered.
    pub qos: QoS,
    /// Whether it is to be kept.
    pub retain: bool,
    /// A topic name; empty where a topic alias stands for it.
    pub topic: &'a str,
    /// With QoS 1 and 2 only.
    pub packet_id: Option<PacketId>,
    /// Where the packet id stands, in bytes from the frame's first, so that
    /// who forwards the frame can write another one.
    pub packet_id_offset: Option<usize>,
    /// MQTT 5 only.
    pub properties: PropertiesView<'a>,
    /// What is said.
    pub payload: &'a [u8],
}

impl<'a> PublishView<'a> {
    /// Decodes exactly one packet.
    ///
    /// # Errors
    /// The bytes are not one PUBLISH, well formed.
    #[inline]
    pub fn decode(bytes: &'a [u8], version: ProtocolVersion) -> Result<Self, DecodeError> {
        Self::decode_limited(bytes, version, usize::MAX)
    }

    /// The same with no more user properties than this.
    ///
    /// # Errors
    /// As [`PublishView::decode`], or there are more.
    #[inline]
    pub fn decode_limited(
        bytes: &'a [u8],
        version: ProtocolVersion,
        max_user_properties: usize,
    ) -> Result<Self, DecodeError> {
        let header = frame_whole(bytes)?;
        if header.first >> 4 != PacketType::Publish as u8 {
            return Err(DecodeError::Protocol("the packet is no PUBLISH"));
        }
        let (dup, qos, retain) = flags(header.first)?;
        let mut reader = Reader::limited(&bytes[header.header_len..], max_user_properties);
        let topic = reader.topic()?;
        let (packet_id, packet_id_offset) = match qos {
            QoS::AtMostOnce => (None, None),
            _ => {
                let offset = header.total_len() - reader.len();
                (Some(reader.packet_id()?), Some(offset))
            }
        };
        let properties = if version.is_v5() {
            PropertiesView::decode(&mut reader, Place::Packet(PacketType::Publish))?
        } else {
            PropertiesView::default()
        };
        let has_alias = topic.is_empty() && properties.get(PropertyId::TopicAlias).is_some();
        check_alias(topic, has_alias)?;
        let payload = reader.take_rest();
        Ok(Self { dup, qos, retain, topic, packet_id, packet_id_offset, properties, payload })
    }

    /// A copy that owns its parts.
    pub fn to_owned(&self) -> Publish {
        Publish {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic: self.topic.into(),
            packet_id: self.packet_id,
            properties: self.properties.to_owned(),
            payload: Bytes::copy_from_slice(self.payload),
        }
    }
}
