//! AUTH: a step of an enhanced authentication (MQTT 5, 3.15).

use crate::packet::Body;
use crate::property::Place;
use crate::{
    DecodeError, EncodeError, PacketType, Properties, ProtocolVersion, ReasonCode, writer,
};

/// A step of an enhanced authentication; MQTT 5 only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Success, continue, or begin anew.
    pub reason: ReasonCode,
    /// The method and the data.
    pub properties: Properties,
}

impl Auth {
    pub(crate) fn decode(body: &mut Body<'_>) -> Result<Self, DecodeError> {
        if !body.version.is_v5() {
            // 3.1.1: table 2.1, type 15 is reserved.
            return Err(DecodeError::Malformed("packet type 15 before MQTT 5"));
        }
        let mut auth = Self { reason: ReasonCode::Success, properties: Properties::new() };
        // Both may be left out (MQTT 5, 3.15.2.1).
        if !body.reader.is_empty() {
            auth.reason = ReasonCode::decode(body.reader.u8()?, PacketType::Auth)?;
            if !body.reader.is_empty() {
                let place = Place::Packet(PacketType::Auth);
                auth.properties = Properties::decode(body.frame, &mut body.reader, place)?;
            }
        }
        Ok(auth)
    }

    pub(crate) fn encode(
        &self,
        version: ProtocolVersion,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if !version.is_v5() {
            return Err(EncodeError::NotInVersion("AUTH"));
        }
        writer::packet(out, 0xF0, |out| {
            if self.reason != ReasonCode::Success || !self.properties.is_empty() {
                out.push(self.reason.encode(PacketType::Auth)?);
                self.properties.encode(Place::Packet(PacketType::Auth), out)?;
            }
            Ok(())
        })
    }
}
