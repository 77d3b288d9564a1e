//! UNSUBACK: the server answers UNSUBSCRIBE (MQTT 5, 3.11).

use crate::packet::Body;
use crate::property::Place;
use crate::writer::{self, put_u16};
use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, ProtocolVersion, ReasonCode,
};

/// The server answers UNSUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsubAck {
    /// Which request.
    pub packet_id: PacketId,
    /// One for each filter, in their order [MQTT-3.11.3-1]; none before MQTT 5.
    pub reasons: Vec<ReasonCode>,
    /// MQTT 5 only.
    pub properties: Properties,
}

impl UnsubAck {
    pub(crate) fn decode(body: &mut Body<'_>) -> Result<Self, DecodeError> {
        let packet_id = body.reader.packet_id()?;
        let mut ack = Self { packet_id, reasons: Vec::new(), properties: Properties::new() };
        if body.version.is_v5() {
            let place = Place::Packet(PacketType::UnsubAck);
            ack.properties = Properties::decode(body.frame, &mut body.reader, place)?;
            for byte in body.reader.take_rest() {
                ack.reasons.push(ReasonCode::decode(*byte, PacketType::UnsubAck)?);
            }
            if ack.reasons.is_empty() {
                return Err(DecodeError::Protocol("an UNSUBACK without an answer"));
            }
        }
        Ok(ack)
    }

    pub(crate) fn encode(
        &self,
        version: ProtocolVersion,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if version.is_v5() && self.reasons.is_empty() {
            return Err(EncodeError::Empty);
        }
        writer::packet(out, 0xB0, |out| {
            put_u16(out, self.packet_id.get());
            if version.is_v5() {
                self.properties.encode(Place::Packet(PacketType::UnsubAck), out)?;
                for reason in &self.reasons {
                    out.push(reason.encode(PacketType::UnsubAck)?);
                }
            }
            Ok(())
        })
    }
}
