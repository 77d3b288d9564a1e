//! DISCONNECT: the last packet (MQTT 5, 3.14).

use crate::packet::Body;
use crate::property::Place;
use crate::{
    DecodeError, EncodeError, PacketType, Properties, ProtocolVersion, ReasonCode, writer,
};

/// The last packet; before MQTT 5 from the client only, and without a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnect {
    /// Why.
    pub reason: ReasonCode,
    /// MQTT 5 only.
    pub properties: Properties,
}

impl Disconnect {
    /// The packet without properties.
    pub fn new(reason: ReasonCode) -> Self {
        Self { reason, properties: Properties::new() }
    }

    pub(crate) fn decode(body: &mut Body<'_>) -> Result<Self, DecodeError> {
        let mut disconnect = Self::new(ReasonCode::Success);
        // Both may be left out (MQTT 5, 3.14.2.1).
        if body.version.is_v5() && !body.reader.is_empty() {
            disconnect.reason = ReasonCode::decode(body.reader.u8()?, PacketType::Disconnect)?;
            if !body.reader.is_empty() {
                let place = Place::Packet(PacketType::Disconnect);
                disconnect.properties = Properties::decode(body.frame, &mut body.reader, place)?;
            }
        }
        Ok(disconnect)
    }

    pub(crate) fn encode(
        &self,
        version: ProtocolVersion,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        writer::packet(out, 0xE0, |out| {
            let plain = self.reason == ReasonCode::Success && self.properties.is_empty();
            if version.is_v5() && !plain {
                out.push(self.reason.encode(PacketType::Disconnect)?);
                if !self.properties.is_empty() {
                    self.properties.encode(Place::Packet(PacketType::Disconnect), out)?;
                }
            }
            Ok(())
        })
    }
}
