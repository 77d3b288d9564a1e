//! SUBACK: the server answers SUBSCRIBE (MQTT 5, 3.9).

use crate::packet::Body;
use crate::property::Place;
use crate::writer::{self, put_u16};
use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, ProtocolVersion, ReasonCode,
};

/// The server answers SUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAck {
    /// Which request.
    pub packet_id: PacketId,
    /// One for each filter, in their order [MQTT-3.8.4-6]; before MQTT 5 a
    /// failure is just that.
    pub reasons: Vec<ReasonCode>,
    /// MQTT 5 only.
    pub properties: Properties,
}

impl SubAck {
    pub(crate) fn decode(body: &mut Body<'_>) -> Result<Self, DecodeError> {
        let packet_id = body.reader.packet_id()?;
        let place = Place::Packet(PacketType::SubAck);
        let properties = if body.version.is_v5() {
            Properties::decode(body.frame, &mut body.reader, place)?
        } else {
            Properties::new()
        };
        let mut reasons = Vec::with_capacity(body.reader.len());
        for byte in body.reader.take_rest() {
            // 3.1.1: [MQTT-3.9.3-2]
            if !body.version.is_v5() && !matches!(byte, 0..=2 | 0x80) {
                return Err(DecodeError::Malformed("a return code that does not exist"));
            }
            reasons.push(ReasonCode::decode(*byte, PacketType::SubAck)?);
        }
        if reasons.is_empty() {
            return Err(DecodeError::Protocol("a SUBACK without an answer"));
        }
        Ok(Self { packet_id, reasons, properties })
    }

    pub(crate) fn encode(
        &self,
        version: ProtocolVersion,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if self.reasons.is_empty() {
            return Err(EncodeError::Empty);
        }
        writer::packet(out, 0x90, |out| {
            put_u16(out, self.packet_id.get());
            if version.is_v5() {
                self.properties.encode(Place::Packet(PacketType::SubAck), out)?;
            }
            for reason in &self.reasons {
                let code = reason.encode(PacketType::SubAck)?;
                // 3.1.1: [MQTT-3.9.3-2] knows one failure only.
                let old_failure = reason.is_error() && !version.is_v5();
                out.push(if old_failure { 0x80 } else { code });
            }
            Ok(())
        })
    }
}
