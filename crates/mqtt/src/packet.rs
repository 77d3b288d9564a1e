//! All packets: one dispatch table each way.

use bytes::Bytes;
use bytestring::ByteString;

use crate::framing::frame_whole;
use crate::reader::{Reader, share, share_str, share_utf8};
use crate::{
    Auth, ConnAck, Connect, DecodeError, Disconnect, EncodeError, ProtocolVersion, PubAck, PubComp,
    PubRec, PubRel, Publish, SubAck, Subscribe, UnsubAck, Unsubscribe, writer,
};

/// The type of a packet, the upper half of its first byte (MQTT 5, 2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the standard's names")]
pub enum PacketType {
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    Auth = 15,
}

/// A packet of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the standard's names")]
pub enum Packet {
    Connect(Box<Connect>),
    ConnAck(Box<ConnAck>),
    Publish(Publish),
    PubAck(PubAck),
    PubRec(PubRec),
    PubRel(PubRel),
    PubComp(PubComp),
    Subscribe(Subscribe),
    SubAck(SubAck),
    Unsubscribe(Unsubscribe),
    UnsubAck(UnsubAck),
    PingReq,
    PingResp,
    Disconnect(Disconnect),
    Auth(Auth),
}

impl PacketType {
    /// The type that a first byte says.
    ///
    /// # Errors
    /// Type 0 is none.
    #[inline]
    pub fn of(first: u8) -> Result<Self, DecodeError> {
        Ok(match first >> 4 {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return Err(DecodeError::Malformed("packet type 0")),
        })
    }
}

/// What a packet's decoder works on: the frame that is shared, and the fields
/// behind its fixed header.
pub(crate) struct Body<'a> {
    pub(crate) frame: &'a Bytes,
    pub(crate) first: u8,
    pub(crate) reader: Reader<'a>,
    pub(crate) version: ProtocolVersion,
}

impl Body<'_> {
    /// A string that shares the frame's bytes.
    pub(crate) fn string(&mut self) -> Result<ByteString, DecodeError> {
        share_str(self.frame, self.reader.binary()?)
    }

    /// A topic name, or nothing, that shares the frame's bytes.
    pub(crate) fn topic(&mut self) -> Result<ByteString, DecodeError> {
        share_utf8(self.frame, self.reader.topic_bytes()?)
    }

    /// Bytes that are the frame's.
    pub(crate) fn binary(&mut self) -> Result<Bytes, DecodeError> {
        Ok(share(self.frame, self.reader.binary()?))
    }
}

impl Packet {
    /// Decodes exactly one packet; strings and payload share the frame's
    /// bytes. The version is that of the connection; CONNECT says its own.
    ///
    /// # Errors
    /// The bytes are not exactly one well-formed packet of that version.
    pub fn decode(bytes: Bytes, version: ProtocolVersion) -> Result<Self, DecodeError> {
        Self::decode_limited(bytes, version, usize::MAX)
    }

    /// The same with no more user properties than this, and as many again in the
    /// will of CONNECT. Each takes five bytes at least, and a good deal more in
    /// memory.
    ///
    /// # Errors
    /// As [`Packet::decode`], or there are more.
    pub fn decode_limited(
        bytes: Bytes,
        version: ProtocolVersion,
        max_user_properties: usize,
    ) -> Result<Self, DecodeError> {
        let header = frame_whole(&bytes)?;
        let packet_type = header.packet_type()?;
        check_dup(header.first, packet_type, version)?;
        let mut body = Body {
            frame: &bytes,
            first: header.first,
            reader: Reader::limited(&bytes[header.header_len..], max_user_properties),
            version,
        };
        let packet = Self::decode_body(packet_type, &mut body)?;
        body.reader.end()?;
        Ok(packet)
    }

    fn decode_body(packet_type: PacketType, body: &mut Body<'_>) -> Result<Self, DecodeError> {
        Ok(match packet_type {
            PacketType::Connect => Self::Connect(Box::new(Connect::decode(body)?)),
            PacketType::ConnAck => Self::ConnAck(Box::new(ConnAck::decode(body)?)),
            PacketType::Publish => Self::Publish(Publish::decode(body)?),
            PacketType::PubAck => Self::PubAck(PubAck::decode(body)?),
            PacketType::PubRec => Self::PubRec(PubRec::decode(body)?),
            PacketType::PubRel => Self::PubRel(PubRel::decode(body)?),
            PacketType::PubComp => Self::PubComp(PubComp::decode(body)?),
            PacketType::Subscribe => Self::Subscribe(Subscribe::decode(body)?),
            PacketType::SubAck => Self::SubAck(SubAck::decode(body)?),
            PacketType::Unsubscribe => Self::Unsubscribe(Unsubscribe::decode(body)?),
            PacketType::UnsubAck => Self::UnsubAck(UnsubAck::decode(body)?),
            PacketType::PingReq => Self::PingReq,
            PacketType::PingResp => Self::PingResp,
            PacketType::Disconnect => Self::Disconnect(Disconnect::decode(body)?),
            PacketType::Auth => Self::Auth(Auth::decode(body)?),
        })
    }

    /// Appends the packet as bytes of that version; nothing is appended on
    /// an error. What older versions do not have (properties, reasons) is
    /// left out for them.
    ///
    /// # Errors
    /// It cannot be said in that version, or is too long.
    pub fn encode(&self, version: ProtocolVersion, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Connect(packet) => packet.encode(out),
            Self::ConnAck(packet) => packet.encode(version, out),
            Self::Publish(packet) => packet.encode(version, out),
            Self::PubAck(packet) => packet.encode(version, out),
            Self::PubRec(packet) => packet.encode(version, out),
            Self::PubRel(packet) => packet.encode(version, out),
            Self::PubComp(packet) => packet.encode(version, out),
            Self::Subscribe(packet) => packet.encode(version, out),
            Self::SubAck(packet) => packet.encode(version, out),
            Self::Unsubscribe(packet) => packet.encode(version, out),
            Self::UnsubAck(packet) => packet.encode(version, out),
            Self::PingReq => writer::packet(out, 0xC0, |_| Ok(())),
            Self::PingResp => writer::packet(out, 0xD0, |_| Ok(())),
            Self::Disconnect(packet) => packet.encode(version, out),
            Self::Auth(packet) => packet.encode(version, out),
        }
    }

    /// How many bytes [`Packet::encode`] appends.
    ///
    /// # Errors
    /// As [`Packet::encode`].
    pub fn encoded_len(&self, version: ProtocolVersion) -> Result<usize, EncodeError> {
        if let Self::Publish(publish) = self {
            return publish.parts().encoded_len(version);
        }
        let mut bytes = Vec::new();
        self.encode(version, &mut bytes)?;
        Ok(bytes.len())
    }

    /// The type of the packet.
    pub fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }
}

/// MQTT 3.1 alone repeats PUBREL, SUBSCRIBE and UNSUBSCRIBE with DUP set.
fn check_dup(first: u8, packet: PacketType, version: ProtocolVersion) -> Result<(), DecodeError> {
    let repeats =
        matches!(packet, PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe);
    if repeats && first & 0x08 != 0 && version != ProtocolVersion::V31 {
        return Err(DecodeError::Malformed("reserved flags of the fixed header"));
    }
    Ok(())
}
