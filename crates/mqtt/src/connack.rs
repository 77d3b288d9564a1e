//! CONNACK: the server answers CONNECT (MQTT 5, 3.2).

use crate::packet::Body;
use crate::property::Place;
use crate::{
    DecodeError, EncodeError, PacketType, Properties, ProtocolVersion, ReasonCode, writer,
};

/// The server answers CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnAck {
    /// The server goes on with a session that it has. 3.1 does not say, nor
    /// does an answer that refuses: there it is not encoded.
    pub session_present: bool,
    /// Success, or why not; before MQTT 5, one of five return codes.
    pub reason: ReasonCode,
    /// MQTT 5 only.
    pub properties: Properties,
}

impl ConnAck {
    /// An answer without properties.
    pub fn new(session_present: bool, reason: ReasonCode) -> Self {
        Self { session_present, reason, properties: Properties::new() }
    }

    pub(crate) fn decode(body: &mut Body<'_>) -> Result<Self, DecodeError> {
        let flags = body.reader.u8()?;
        // [MQTT-3.2.2-1]
        if flags & 0xFE != 0 && body.version != ProtocolVersion::V31 {
            return Err(DecodeError::Malformed("reserved flags of CONNACK"));
        }
        let code = body.reader.u8()?;
        // [MQTT-3.2.2-6], 3.1.1: [MQTT-3.2.2-4]
        if flags & 1 == 1 && code != 0 && body.version != ProtocolVersion::V31 {
            return Err(DecodeError::Protocol("a session is present, and the client refused"));
        }
        if !body.version.is_v5() {
            let reason = ReasonCode::from_connect_return_code(code)
                .ok_or(DecodeError::Malformed("a return code that does not exist"))?;
            let session_present = flags & 1 == 1 && body.version == ProtocolVersion::V311;
            return Ok(Self::new(session_present, reason));
        }
        let reason = ReasonCode::decode(code, PacketType::ConnAck)?;
        let place = Place::Packet(PacketType::ConnAck);
        let properties = Properties::decode(body.frame, &mut body.reader, place)?;
        Ok(Self { session_present: flags & 1 == 1, reason, properties })
    }

    pub(crate) fn encode(
        &self,
        version: ProtocolVersion,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        writer::packet(out, 0x20, |out| {
            let says = version != ProtocolVersion::V31 && !self.reason.is_error();
            out.push(u8::from(self.session_present && says));
            // [MQTT-3.2.2-6]: no session where there is an error.
            if version.is_v5() {
                out.push(self.reason.encode(PacketType::ConnAck)?);
                self.properties.encode(Place::Packet(PacketType::ConnAck), out)
            } else {
                let code = self.reason.connect_return_code();
                out.push(code.ok_or(EncodeError::Reason(self.reason))?);
                Ok(())
            }
        })
    }
}
