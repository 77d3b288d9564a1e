//! PUBLISH: a message (MQTT 5, 3.3).

use bytes::Bytes;
use bytestring::ByteString;

use crate::packet::Body;
use crate::property::Place;
use crate::reader::share;
use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, ProtocolVersion, PublishParts, QoS,
};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// It may have been delivered before.
    pub dup: bool,
    /// How often it is delivered.
    pub qos: QoS,
    /// Whether it is (to be) kept.
    pub retain: bool,
    /// A topic name; empty where a topic alias stands for it.
    pub topic: ByteString,
    /// With QoS 1 and 2 only.
    pub packet_id: Option<PacketId>,
    /// MQTT 5 only.
    pub properties: Properties,
    /// What is said.
    pub payload: Bytes,
}

impl Publish {
    /// A message of QoS 0.
    pub fn new(topic: impl Into<ByteString>, payload: impl Into<Bytes>) -> Self {
        Self {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic: topic.into(),
            packet_id: None,
            properties: Properties::new(),
            payload: payload.into(),
        }
    }

    pub(crate) fn decode(body: &mut Body<'_>) -> Result<Self, DecodeError> {
        let (dup, qos, retain) = flags(body.first)?;
        let topic = body.topic()?;
        let packet_id = match qos {
            QoS::AtMostOnce => None,
            _ => Some(body.reader.packet_id()?),
        };
        let place = Place::Packet(PacketType::Publish);
        let properties = if body.version.is_v5() {
            Properties::decode(body.frame, &mut body.reader, place)?
        } else {
            Properties::new()
        };
        check_alias(&topic, properties.topic_alias.is_some())?;
        let payload = share(body.frame, body.reader.take_rest());
        Ok(Self { dup, qos, retain, topic, packet_id, properties, payload })
    }

    pub(crate) fn encode(
        &self,
        version: ProtocolVersion,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.parts().encode(version, out)
    }

    /// The message, borrowed for encoding.
    pub fn parts(&self) -> PublishParts<'_> {
        PublishParts {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            packet_id: self.packet_id,
            properties: &self.properties,
            payload: &self.payload,
        }
    }
}

/// DUP, QoS and RETAIN of the first byte.
#[inline]
pub(crate) fn flags(first: u8) -> Result<(bool, QoS, bool), DecodeError> {
    let qos = QoS::try_from(first >> 1 & 0x03)?;
    let dup = first & 0x08 != 0;
    // [MQTT-3.3.1-2]
    if dup && qos == QoS::AtMostOnce {
        return Err(DecodeError::Malformed("DUP with QoS 0"));
    }
    Ok((dup, qos, first & 0x01 != 0))
}

/// That a topic alias stands where no topic name does (MQTT 5, 3.3.2.1).
#[inline]
pub(crate) fn check_alias(topic: &str, has_alias: bool) -> Result<(), DecodeError> {
    if topic.is_empty() && !has_alias {
        return Err(DecodeError::Protocol("a PUBLISH without topic and alias"));
    }
    Ok(())
}
