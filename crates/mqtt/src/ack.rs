//! PUBACK, PUBREC, PUBREL and PUBCOMP: the steps of QoS 1 and 2
//! (MQTT 5, 3.4 to 3.7). They are alike but for their type.

use crate::framing::frame_whole;
use crate::packet::Body;
use crate::property::Place;
use crate::reader::Reader;
use crate::writer::{self, put_u16};
use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, PropertiesView, ProtocolVersion,
    ReasonCode,
};

macro_rules! ack {
    ($(#[$doc:meta])* $name:ident, $first:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// Which message.
            pub packet_id: PacketId,
            /// Success before MQTT 5.
            pub reason: ReasonCode,
            /// MQTT 5 only.
            pub properties: Properties,
        }

        impl $name {
            /// The packet without properties.
            pub fn new(packet_id: PacketId, reason: ReasonCode) -> Self {
                Self { packet_id, reason, properties: Properties::new() }
            }

            pub(crate) fn decode(body: &mut Body<'_>) -> Result<Self, DecodeError> {
                let packet_id = body.reader.packet_id()?;
                let mut ack = Self::new(packet_id, ReasonCode::Success);
                // Both may be left out (MQTT 5, 3.4.2.1).
                if body.version.is_v5() && !body.reader.is_empty() {
                    ack.reason = ReasonCode::decode(body.reader.u8()?, PacketType::$name)?;
                    if !body.reader.is_empty() {
                        let place = Place::Packet(PacketType::$name);
                        ack.properties = Properties::decode(body.frame, &mut body.reader, place)?;
                    }
                }
                Ok(ack)
            }

            pub(crate) fn encode(
                &self,
                version: ProtocolVersion,
                out: &mut Vec<u8>,
            ) -> Result<(), EncodeError> {
                let reason = self.reason.encode(PacketType::$name)?;
                if self.properties.is_empty() || !version.is_v5() {
                    encode_ack(PacketType::$name, self.packet_id, self.reason, version, out);
                    return Ok(());
                }
                writer::packet(out, $first, |out| {
                    put_u16(out, self.packet_id.get());
                    out.push(reason);
                    self.properties.encode(Place::Packet(PacketType::$name), out)
                })
            }
        }
    };
}

ack! {
    /// A message of QoS 1 was taken.
    PubAck, 0x40
}
ack! {
    /// A message of QoS 2 was taken, step one.
    PubRec, 0x50
}
ack! {
    /// A message of QoS 2 is released, step two.
    PubRel, 0x62
}
ack! {
    /// A message of QoS 2 is complete, step three.
    PubComp, 0x70
}

/// Appends one of the four acknowledgements in its shortest form: without
/// properties, and in MQTT 5 without a reason where it is success. That the
/// reason [fits](ReasonCode::fits) the packet is the caller's care.
#[inline]
pub fn encode_ack(
    packet: PacketType,
    packet_id: PacketId,
    reason: ReasonCode,
    version: ProtocolVersion,
    out: &mut Vec<u8>,
) {
    // [MQTT-3.6.1-1]: PUBREL has bit 1 set.
    let first = (packet as u8) << 4 | if packet == PacketType::PubRel { 0x02 } else { 0 };
    let [high, low] = packet_id.get().to_be_bytes();
    if version.is_v5() && reason != ReasonCode::Success {
        out.extend_from_slice(&[first, 3, high, low, reason.code()]);
    } else {
        out.extend_from_slice(&[first, 2, high, low]);
    }
}

/// One of the four acknowledgements in a read buffer; allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckView {
    /// Which of the four.
    pub packet_type: PacketType,
    /// Which message.
    pub packet_id: PacketId,
    /// Success before MQTT 5.
    pub reason: ReasonCode,
}

impl AckView {
    /// Decodes exactly one packet.
    ///
    /// # Errors
    /// The bytes are not one of the four, well formed.
    #[inline]
    pub fn decode(bytes: &[u8], version: ProtocolVersion) -> Result<Self, DecodeError> {
        Self::decode_limited(bytes, version, usize::MAX)
    }

    /// The same with no more user properties than this.
    ///
    /// # Errors
    /// As [`AckView::decode`], or there are more.
    #[inline]
    pub fn decode_limited(
        bytes: &[u8],
        version: ProtocolVersion,
        max_user_properties: usize,
    ) -> Result<Self, DecodeError> {
        let header = frame_whole(bytes)?;
        let packet_type = header.packet_type()?;
        if !matches!(
            packet_type,
            PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp
        ) {
            return Err(DecodeError::Protocol("the packet acknowledges nothing"));
        }
        if header.first & 0x08 != 0 && version != ProtocolVersion::V31 {
            return Err(DecodeError::Malformed("reserved flags of the fixed header"));
        }
        let mut reader = Reader::limited(&bytes[header.header_len..], max_user_properties);
        let packet_id = reader.packet_id()?;
        let mut reason = ReasonCode::Success;
        if version.is_v5() && !reader.is_empty() {
            reason = ReasonCode::decode(reader.u8()?, packet_type)?;
            if !reader.is_empty() {
                PropertiesView::decode(&mut reader, Place::Packet(packet_type))?;
            }
        }
        reader.end()?;
        Ok(Self { packet_type, packet_id, reason })
    }
}
