//! UNSUBSCRIBE: a client asks for messages no more (MQTT 5, 3.10).

use crate::packet::Body;
use crate::property::Place;
use crate::writer::{self, put_binary, put_u16};
use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, ProtocolVersion, TopicFilter,
};

/// A client asks for messages no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Which request.
    pub packet_id: PacketId,
    /// What it asks for no more; at least one.
    pub filters: Vec<TopicFilter>,
    /// MQTT 5 only.
    pub properties: Properties,
}

impl Unsubscribe {
    pub(crate) fn decode(body: &mut Body<'_>) -> Result<Self, DecodeError> {
        let packet_id = body.reader.packet_id()?;
        let place = Place::Packet(PacketType::Unsubscribe);
        let properties = if body.version.is_v5() {
            Properties::decode(body.frame, &mut body.reader, place)?
        } else {
            Properties::new()
        };
        let mut filters = Vec::new();
        while !body.reader.is_empty() {
            let filter = body.string()?;
            filters.push(TopicFilter::try_from(filter).map_err(|_| DecodeError::TopicFilter)?);
        }
        // [MQTT-3.10.3-2]
        if filters.is_empty() {
            return Err(DecodeError::Protocol("an UNSUBSCRIBE without a filter"));
        }
        Ok(Self { packet_id, filters, properties })
    }

    pub(crate) fn encode(
        &self,
        version: ProtocolVersion,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if self.filters.is_empty() {
            return Err(EncodeError::Empty);
        }
        writer::packet(out, 0xA2, |out| {
            put_u16(out, self.packet_id.get());
            if version.is_v5() {
                self.properties.encode(Place::Packet(PacketType::Unsubscribe), out)?;
            }
            for filter in &self.filters {
                put_binary(out, filter.as_str().as_bytes())?;
            }
            Ok(())
        })
    }
}
