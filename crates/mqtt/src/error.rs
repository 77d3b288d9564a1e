//! What can be wrong with bytes, and with packets.

use crate::{InvalidTopic, PropertyId, ReasonCode};

/// Why bytes are no packet; [`DecodeError::reason`] is what a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes do not follow the format (MQTT 5, 1.2: Malformed Packet).
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// The bytes follow the format but say what may not be said there.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// The packet is larger than is taken.
    #[error("the packet has {size} bytes, and at most {limit} are taken")]
    TooLarge {
        /// What the packet's header says, in bytes.
        size: usize,
        /// What is taken, in bytes.
        limit: usize,
    },
    /// More user properties than are taken in one place: a packet, or its will.
    #[error("there are more than {0} user properties")]
    TooManyUserProperties(usize),
    /// The protocol name or level of CONNECT is not one of those spoken here.
    #[error("the protocol version {0} is not spoken here: 3 (MQIsdp), 4 and 5 (MQTT)")]
    UnsupportedVersion(u8),
    /// A topic name has wildcards, or is empty.
    #[error("invalid topic name")]
    TopicName,
    /// A topic filter has wildcards where none may stand, or is empty.
    #[error("invalid topic filter")]
    TopicFilter,
    /// A client id that this version does not allow.
    #[error("invalid client identifier: {0}")]
    ClientId(&'static str),
}

impl DecodeError {
    /// The reason code for CONNACK or DISCONNECT.
    pub fn reason(self) -> ReasonCode {
        match self {
            Self::Malformed(_) => ReasonCode::MalformedPacket,
            Self::Protocol(_) => ReasonCode::ProtocolError,
            Self::TooLarge { .. } => ReasonCode::PacketTooLarge,
            // An implementation's own limit (MQTT 5, 4.13.2, 0x97).
            Self::TooManyUserProperties(_) => ReasonCode::QuotaExceeded,
            Self::UnsupportedVersion(_) => ReasonCode::UnsupportedProtocolVersion,
            Self::TopicName => ReasonCode::TopicNameInvalid,
            Self::TopicFilter => ReasonCode::TopicFilterInvalid,
            Self::ClientId(_) => ReasonCode::ClientIdentifierNotValid,
        }
    }
}

/// Why a packet cannot be bytes of that version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A string or binary field has more than 65,535 bytes.
    #[error("a field has {0} bytes, and at most 65,535 fit")]
    FieldTooLong(usize),
    /// The packet has more than 268,435,455 bytes after its fixed header.
    #[error("the packet has {0} bytes, and at most 268,435,455 fit")]
    PacketTooLong(usize),
    /// The version has no such packet.
    #[error("this version has no {0} packet")]
    NotInVersion(&'static str),
    /// A PUBLISH of QoS 1 or 2 without a packet id, or one of QoS 0 with it.
    #[error("a packet id goes with QoS 1 and 2, and with them only")]
    PacketId,
    /// SUBSCRIBE, SUBACK, UNSUBSCRIBE or UNSUBACK without a single entry.
    #[error("at least one entry must be in the packet")]
    Empty,
    /// PUBLISH with DUP, but of QoS 0.
    #[error("DUP goes with QoS 1 and 2 only")]
    Dup,
    /// PUBLISH to something that is no topic name.
    #[error("invalid topic name: {0}")]
    Topic(#[from] InvalidTopic),
    /// A string has U+0000.
    #[error("a string has U+0000, which no MQTT string may have")]
    Null,
    /// A property that the packet does not have, that stands twice, or whose
    /// value is out of range.
    #[error("{0:?} may not stand in this packet, not twice, or not with this value")]
    Property(PropertyId),
    /// A reason code that the packet does not have.
    #[error("the packet does not have the reason code {0}")]
    Reason(ReasonCode),
    /// A client id that the version does not allow.
    #[error("invalid client identifier: {0}")]
    ClientId(&'static str),
    /// A password without a user name, before MQTT 5.
    #[error("before MQTT 5 a password goes with a user name only")]
    Password,
    /// No Local with a shared subscription.
    #[error("No Local does not go with a shared subscription")]
    NoLocal,
}
