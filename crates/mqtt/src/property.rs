//! The table of properties: which there are, of which type, and where each
//! may stand (MQTT 5, 2.2.2.2, table 2-4).

use crate::reader::Reader;
use crate::{DecodeError, EncodeError, LARGEST_REMAINING_LENGTH, PacketType};

/// The identifier of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the standard's names")]
pub enum PropertyId {
    PayloadFormatIndicator = 0x01,
    MessageExpiryInterval = 0x02,
    ContentType = 0x03,
    ResponseTopic = 0x08,
    CorrelationData = 0x09,
    SubscriptionIdentifier = 0x0B,
    SessionExpiryInterval = 0x11,
    AssignedClientIdentifier = 0x12,
    ServerKeepAlive = 0x13,
    AuthenticationMethod = 0x15,
    AuthenticationData = 0x16,
    RequestProblemInformation = 0x17,
    WillDelayInterval = 0x18,
    RequestResponseInformation = 0x19,
    ResponseInformation = 0x1A,
    ServerReference = 0x1C,
    ReasonString = 0x1F,
    ReceiveMaximum = 0x21,
    TopicAliasMaximum = 0x22,
    TopicAlias = 0x23,
    MaximumQoS = 0x24,
    RetainAvailable = 0x25,
    UserProperty = 0x26,
    MaximumPacketSize = 0x27,
    WildcardSubscriptionAvailable = 0x28,
    SubscriptionIdentifierAvailable = 0x29,
    SharedSubscriptionAvailable = 0x2A,
}

/// A property's value, borrowed from the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PropertyValue<'a> {
    /// One byte.
    Byte(u8),
    /// Two bytes.
    U16(u16),
    /// Four bytes.
    U32(u32),
    /// A variable byte integer.
    VarInt(u32),
    /// A string.
    String(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// A name and a value.
    Pair(&'a str, &'a str),
}

/// Where properties stand: in a packet, or in the will of CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Packet(PacketType),
    Will,
}

#[derive(Clone, Copy)]
enum Kind {
    Byte,
    U16,
    U32,
    VarInt,
    String,
    Binary,
    Pair,
}

impl Place {
    /// The bit of this place in the table; type 0 is free for the will.
    const fn bit(self) -> u16 {
        match self {
            Self::Packet(packet) => 1 << packet as u8,
            Self::Will => 1,
        }
    }
}

const CONNECT: u16 = Place::Packet(PacketType::Connect).bit();
const CONNACK: u16 = Place::Packet(PacketType::ConnAck).bit();
const PUBLISH: u16 = Place::Packet(PacketType::Publish).bit();
const SUBSCRIBE: u16 = Place::Packet(PacketType::Subscribe).bit();
const DISCONNECT: u16 = Place::Packet(PacketType::Disconnect).bit();
const AUTH: u16 = Place::Packet(PacketType::Auth).bit();
const WILL: u16 = Place::Will.bit();
/// The acknowledgements, all of which give reasons.
const ACKS: u16 = Place::Packet(PacketType::PubAck).bit()
    | Place::Packet(PacketType::PubRec).bit()
    | Place::Packet(PacketType::PubRel).bit()
    | Place::Packet(PacketType::PubComp).bit()
    | Place::Packet(PacketType::SubAck).bit()
    | Place::Packet(PacketType::UnsubAck).bit();
const UNSUBSCRIBE: u16 = Place::Packet(PacketType::Unsubscribe).bit();

impl PropertyId {
    /// The type, and the places.
    const fn row(self) -> (Kind, u16) {
        match self {
            Self::PayloadFormatIndicator => (Kind::Byte, PUBLISH | WILL),
            Self::MessageExpiryInterval => (Kind::U32, PUBLISH | WILL),
            Self::ContentType | Self::ResponseTopic => (Kind::String, PUBLISH | WILL),
            Self::CorrelationData => (Kind::Binary, PUBLISH | WILL),
            Self::SubscriptionIdentifier => (Kind::VarInt, PUBLISH | SUBSCRIBE),
            Self::SessionExpiryInterval => (Kind::U32, CONNECT | CONNACK | DISCONNECT),
            Self::AssignedClientIdentifier => (Kind::String, CONNACK),
            Self::ServerKeepAlive => (Kind::U16, CONNACK),
            Self::AuthenticationMethod => (Kind::String, CONNECT | CONNACK | AUTH),
            Self::AuthenticationData => (Kind::Binary, CONNECT | CONNACK | AUTH),
            Self::RequestProblemInformation => (Kind::Byte, CONNECT),
            Self::WillDelayInterval => (Kind::U32, WILL),
            Self::RequestResponseInformation => (Kind::Byte, CONNECT),
            Self::ResponseInformation => (Kind::String, CONNACK),
            Self::ServerReference => (Kind::String, CONNACK | DISCONNECT),
            Self::ReasonString => (Kind::String, CONNACK | ACKS | DISCONNECT | AUTH),
            Self::ReceiveMaximum | Self::TopicAliasMaximum => (Kind::U16, CONNECT | CONNACK),
            Self::TopicAlias => (Kind::U16, PUBLISH),
            Self::MaximumQoS | Self::RetainAvailable => (Kind::Byte, CONNACK),
            Self::UserProperty => (
                Kind::Pair,
                CONNECT
                    | CONNACK
                    | PUBLISH
                    | WILL
                    | ACKS
                    | SUBSCRIBE
                    | UNSUBSCRIBE
                    | DISCONNECT
                    | AUTH,
            ),
            Self::MaximumPacketSize => (Kind::U32, CONNECT | CONNACK),
            Self::WildcardSubscriptionAvailable
            | Self::SubscriptionIdentifierAvailable
            | Self::SharedSubscriptionAvailable => (Kind::Byte, CONNACK),
        }
    }

    /// Every property, in the order of their identifiers.
    pub const ALL: [Self; 27] = [
        Self::PayloadFormatIndicator,
        Self::MessageExpiryInterval,
        Self::ContentType,
        Self::ResponseTopic,
        Self::CorrelationData,
        Self::SubscriptionIdentifier,
        Self::SessionExpiryInterval,
        Self::AssignedClientIdentifier,
        Self::ServerKeepAlive,
        Self::AuthenticationMethod,
        Self::AuthenticationData,
        Self::RequestProblemInformation,
        Self::WillDelayInterval,
        Self::RequestResponseInformation,
        Self::ResponseInformation,
        Self::ServerReference,
        Self::ReasonString,
        Self::ReceiveMaximum,
        Self::TopicAliasMaximum,
        Self::TopicAlias,
        Self::MaximumQoS,
        Self::RetainAvailable,
        Self::UserProperty,
        Self::MaximumPacketSize,
        Self::WildcardSubscriptionAvailable,
        Self::SubscriptionIdentifierAvailable,
        Self::SharedSubscriptionAvailable,
    ];

    const BY_NUMBER: [Option<Self>; 0x2B] = {
        let mut table = [None; 0x2B];
        let mut index = 0;
        while index < Self::ALL.len() {
            table[Self::ALL[index] as usize] = Some(Self::ALL[index]);
            index += 1;
        }
        table
    };

    fn from_number(number: u32) -> Option<Self> {
        *Self::BY_NUMBER.get(number as usize)?
    }

    /// Whether it may stand in this place.
    #[inline]
    fn fits(self, place: Place) -> bool {
        self.row().1 & place.bit() != 0
    }

    /// Whether it may stand more than once there: user properties always,
    /// subscription identifiers in PUBLISH [MQTT-3.3.4-3].
    fn repeats(self, place: Place) -> bool {
        match self {
            Self::UserProperty => true,
            Self::SubscriptionIdentifier => place == Place::Packet(PacketType::Publish),
            _ => false,
        }
    }

    /// Values that the standard forbids.
    fn check(self, value: PropertyValue<'_>) -> Result<(), DecodeError> {
        use PropertyValue::{Byte, String, U16, U32, VarInt};
        let fits = match (self, value) {
            (Self::PayloadFormatIndicator, Byte(byte)) if byte > 1 => {
                return Err(DecodeError::Malformed("a payload format that is neither 0 nor 1"));
            }
            (Self::SubscriptionIdentifier, VarInt(id)) => {
                id != 0 && id as usize <= LARGEST_REMAINING_LENGTH
            }
            (Self::ReceiveMaximum | Self::TopicAlias, U16(number)) => number != 0,
            (Self::MaximumPacketSize, U32(size)) => size != 0,
            // [MQTT-3.3.2-14]
            (Self::ResponseTopic, String(name)) => {
                return crate::topic::check_name(name).map_err(|_| DecodeError::TopicName);
            }
            (_, Byte(byte)) => byte <= 1,
            _ => true,
        };
        if fits { Ok(()) } else { Err(DecodeError::Protocol("a property's value is out of range")) }
    }
}

impl<'a> PropertyValue<'a> {
    fn read(kind: Kind, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match kind {
            Kind::Byte => Self::Byte(reader.u8()?),
            Kind::U16 => Self::U16(reader.u16()?),
            Kind::U32 => Self::U32(reader.u32()?),
            Kind::VarInt => Self::VarInt(reader.varint()?),
            Kind::String => Self::String(reader.string()?),
            Kind::Binary => Self::Binary(reader.binary()?),
            Kind::Pair => Self::Pair(reader.string()?, reader.string()?),
        })
    }
}

/// Checks a property that is to be written against the table.
pub(crate) fn check(
    id: PropertyId,
    value: PropertyValue<'_>,
    place: Place,
) -> Result<(), EncodeError> {
    if !id.fits(place) || id.check(value).is_err() {
        return Err(EncodeError::Property(id));
    }
    Ok(())
}

/// Reads one property, whatever it is.
pub(crate) fn read<'a>(
    reader: &mut Reader<'a>,
) -> Result<(PropertyId, PropertyValue<'a>), DecodeError> {
    let id = PropertyId::from_number(reader.varint()?)
        .ok_or(DecodeError::Malformed("a property that does not exist"))?;
    Ok((id, PropertyValue::read(id.row().0, reader)?))
}

/// Reads the properties of one place, checked against the table.
pub(crate) fn read_all<'a>(
    mut reader: Reader<'a>,
    place: Place,
    mut each: impl FnMut(PropertyId, PropertyValue<'a>),
) -> Result<(), DecodeError> {
    let mut seen = 0_u64;
    let limit = reader.max_user_properties();
    let mut user_properties = 0;
    while !reader.is_empty() {
        let (id, value) = read(&mut reader)?;
        // MQTT 5, 2.2.2.2, table 2-4
        if !id.fits(place) {
            return Err(DecodeError::Protocol("a property that this packet does not have"));
        }
        let bit = 1 << (id as u8);
        if seen & bit != 0 && !id.repeats(place) {
            return Err(DecodeError::Protocol("a property that stands twice"));
        }
        seen |= bit;
        if id == PropertyId::UserProperty {
            user_properties += 1;
            if user_properties > limit {
                return Err(DecodeError::TooManyUserProperties(limit));
            }
        }
        id.check(value)?;
        each(id, value);
    }
    Ok(())
}
