//! The reason codes of MQTT 5 (2.4), and what older versions say instead.

use std::fmt;

use crate::{DecodeError, EncodeError, PacketType};

/// Why, or why not; 0x80 and above are failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ReasonCode {
    /// Success, normal disconnection, or QoS 0 granted (0x00).
    Success = 0x00,
    /// QoS 1 is granted (0x01).
    GrantedQoS1 = 0x01,
    /// QoS 2 is granted (0x02).
    GrantedQoS2 = 0x02,
    /// The client disconnects, and its will is to be published (0x04).
    DisconnectWithWill = 0x04,
    /// Taken, and nobody is subscribed (0x10).
    NoMatchingSubscribers = 0x10,
    /// There was no such subscription (0x11).
    NoSubscriptionExisted = 0x11,
    /// The authentication goes on (0x18).
    ContinueAuthentication = 0x18,
    /// An authentication begins anew (0x19).
    ReAuthenticate = 0x19,
    /// An error that is not told (0x80).
    UnspecifiedError = 0x80,
    /// The bytes are no packet (0x81).
    MalformedPacket = 0x81,
    /// The packet may not be, or not now (0x82).
    ProtocolError = 0x82,
    /// Valid, and not taken here (0x83).
    ImplementationSpecificError = 0x83,
    /// The version is not spoken here (0x84).
    UnsupportedProtocolVersion = 0x84,
    /// The client id is not taken (0x85).
    ClientIdentifierNotValid = 0x85,
    /// User name or password is wrong (0x86).
    BadUserNameOrPassword = 0x86,
    /// It is not allowed (0x87).
    NotAuthorized = 0x87,
    /// The server does not serve now (0x88).
    ServerUnavailable = 0x88,
    /// The server is busy (0x89).
    ServerBusy = 0x89,
    /// The client is banned (0x8A).
    Banned = 0x8A,
    /// The server stops (0x8B).
    ServerShuttingDown = 0x8B,
    /// The authentication method is not known, or another than before (0x8C).
    BadAuthenticationMethod = 0x8C,
    /// Nothing came for one and a half times the keep alive (0x8D).
    KeepAliveTimeout = 0x8D,
    /// Another connection took the session over (0x8E).
    SessionTakenOver = 0x8E,
    /// The topic filter is not taken (0x8F).
    TopicFilterInvalid = 0x8F,
    /// The topic name is not taken (0x90).
    TopicNameInvalid = 0x90,
    /// The packet id is in use (0x91).
    PacketIdentifierInUse = 0x91,
    /// The packet id is not known (0x92).
    PacketIdentifierNotFound = 0x92,
    /// More is in flight than was allowed (0x93).
    ReceiveMaximumExceeded = 0x93,
    /// The topic alias is not allowed or not known (0x94).
    TopicAliasInvalid = 0x94,
    /// The packet is larger than is taken (0x95).
    PacketTooLarge = 0x95,
    /// Messages come too fast (0x96).
    MessageRateTooHigh = 0x96,
    /// A limit is reached (0x97).
    QuotaExceeded = 0x97,
    /// An administrator did it (0x98).
    AdministrativeAction = 0x98,
    /// The payload is not what it is said to be (0x99).
    PayloadFormatInvalid = 0x99,
    /// Retained messages are not taken (0x9A).
    RetainNotSupported = 0x9A,
    /// The QoS is not taken (0x9B).
    QoSNotSupported = 0x9B,
    /// Another server is to be used for now (0x9C).
    UseAnotherServer = 0x9C,
    /// Another server is to be used from now on (0x9D).
    ServerMoved = 0x9D,
    /// Shared subscriptions are not taken (0x9E).
    SharedSubscriptionsNotSupported = 0x9E,
    /// Connections come too fast (0x9F).
    ConnectionRateExceeded = 0x9F,
    /// The connection lasted as long as one may (0xA0).
    MaximumConnectTime = 0xA0,
    /// Subscription identifiers are not taken (0xA1).
    SubscriptionIdentifiersNotSupported = 0xA1,
    /// Wildcards are not taken (0xA2).
    WildcardSubscriptionsNotSupported = 0xA2,
}

impl ReasonCode {
    /// Every code, in order.
    pub const ALL: [Self; 43] = [
        Self::Success,
        Self::GrantedQoS1,
        Self::GrantedQoS2,
        Self::DisconnectWithWill,
        Self::NoMatchingSubscribers,
        Self::NoSubscriptionExisted,
        Self::ContinueAuthentication,
        Self::ReAuthenticate,
        Self::UnspecifiedError,
        Self::MalformedPacket,
        Self::ProtocolError,
        Self::ImplementationSpecificError,
        Self::UnsupportedProtocolVersion,
        Self::ClientIdentifierNotValid,
        Self::BadUserNameOrPassword,
        Self::NotAuthorized,
        Self::ServerUnavailable,
        Self::ServerBusy,
        Self::Banned,
        Self::ServerShuttingDown,
        Self::BadAuthenticationMethod,
        Self::KeepAliveTimeout,
        Self::SessionTakenOver,
        Self::TopicFilterInvalid,
        Self::TopicNameInvalid,
        Self::PacketIdentifierInUse,
        Self::PacketIdentifierNotFound,
        Self::ReceiveMaximumExceeded,
        Self::TopicAliasInvalid,
        Self::PacketTooLarge,
        Self::MessageRateTooHigh,
        Self::QuotaExceeded,
        Self::AdministrativeAction,
        Self::PayloadFormatInvalid,
        Self::RetainNotSupported,
        Self::QoSNotSupported,
        Self::UseAnotherServer,
        Self::ServerMoved,
        Self::SharedSubscriptionsNotSupported,
        Self::ConnectionRateExceeded,
        Self::MaximumConnectTime,
        Self::SubscriptionIdentifiersNotSupported,
        Self::WildcardSubscriptionsNotSupported,
    ];

    const BY_NUMBER: [Option<Self>; 256] = {
        let mut table = [None; 256];
        let mut index = 0;
        while index < Self::ALL.len() {
            table[Self::ALL[index] as usize] = Some(Self::ALL[index]);
            index += 1;
        }
        table
    };

    /// The byte.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Whether it tells a failure.
    pub fn is_error(self) -> bool {
        self.code() >= 0x80
    }

    /// Whether it may stand in a packet of this type (MQTT 5, 2.4, table 2-6).
    pub fn fits(self, packet: PacketType) -> bool {
        self.packets().contains(&packet)
    }

    /// The packets that have it.
    const fn packets(self) -> &'static [PacketType] {
        use PacketType::{
            Auth, ConnAck, Disconnect, PubAck, PubComp, PubRec, PubRel, SubAck, UnsubAck,
        };
        match self {
            Self::Success => {
                &[ConnAck, PubAck, PubRec, PubRel, PubComp, SubAck, UnsubAck, Disconnect, Auth]
            }
            Self::GrantedQoS1 | Self::GrantedQoS2 => &[SubAck],
            Self::NoMatchingSubscribers => &[PubAck, PubRec],
            Self::NoSubscriptionExisted => &[UnsubAck],
            Self::ContinueAuthentication | Self::ReAuthenticate => &[Auth],
            Self::UnspecifiedError | Self::ImplementationSpecificError | Self::NotAuthorized => {
                &[ConnAck, PubAck, PubRec, SubAck, UnsubAck, Disconnect]
            }
            Self::UnsupportedProtocolVersion
            | Self::ClientIdentifierNotValid
            | Self::BadUserNameOrPassword
            | Self::ServerUnavailable
            | Self::Banned => &[ConnAck],
            Self::MalformedPacket
            | Self::ProtocolError
            | Self::ServerBusy
            | Self::BadAuthenticationMethod
            | Self::PacketTooLarge
            | Self::RetainNotSupported
            | Self::QoSNotSupported
            | Self::UseAnotherServer
            | Self::ServerMoved
            | Self::ConnectionRateExceeded => &[ConnAck, Disconnect],
            Self::DisconnectWithWill
            | Self::ServerShuttingDown
            | Self::KeepAliveTimeout
            | Self::SessionTakenOver
            | Self::ReceiveMaximumExceeded
            | Self::TopicAliasInvalid
            | Self::MessageRateTooHigh
            | Self::AdministrativeAction
            | Self::MaximumConnectTime => &[Disconnect],
            Self::TopicFilterInvalid => &[SubAck, UnsubAck, Disconnect],
            Self::TopicNameInvalid | Self::PayloadFormatInvalid => {
                &[ConnAck, PubAck, PubRec, Disconnect]
            }
            Self::PacketIdentifierInUse => &[PubAck, PubRec, SubAck, UnsubAck],
            Self::PacketIdentifierNotFound => &[PubRel, PubComp],
            Self::QuotaExceeded => &[ConnAck, PubAck, PubRec, SubAck, Disconnect],
            Self::SharedSubscriptionsNotSupported
            | Self::SubscriptionIdentifiersNotSupported
            | Self::WildcardSubscriptionsNotSupported => &[SubAck, Disconnect],
        }
    }

    /// The code in a packet of this type.
    pub(crate) fn decode(byte: u8, packet: PacketType) -> Result<Self, DecodeError> {
        Self::try_from(byte)
            .ok()
            .filter(|reason| reason.fits(packet))
            .ok_or(DecodeError::Malformed("a reason code that this packet does not have"))
    }

    /// The byte in a packet of this type.
    pub(crate) fn encode(self, packet: PacketType) -> Result<u8, EncodeError> {
        if self.fits(packet) { Ok(self.code()) } else { Err(EncodeError::Reason(self)) }
    }

    /// What CONNACK of 3.1 and 3.1.1 says (3.1.1: table 3.1); nothing: it has
    /// no word for that, and the connection is closed without one (3.1.1:
    /// [MQTT-3.2.2-6]).
    pub fn connect_return_code(self) -> Option<u8> {
        Some(match self {
            Self::Success => 0,
            Self::UnsupportedProtocolVersion => 1,
            Self::ClientIdentifierNotValid => 2,
            Self::ServerUnavailable
            | Self::ServerBusy
            | Self::ServerShuttingDown
            | Self::QuotaExceeded
            | Self::UseAnotherServer
            | Self::ServerMoved
            | Self::ConnectionRateExceeded => 3,
            Self::BadUserNameOrPassword | Self::BadAuthenticationMethod => 4,
            Self::NotAuthorized | Self::Banned => 5,
            _ => return None,
        })
    }

    /// The reason behind a return code of CONNACK of 3.1 and 3.1.1.
    pub fn from_connect_return_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Success,
            1 => Self::UnsupportedProtocolVersion,
            2 => Self::ClientIdentifierNotValid,
            3 => Self::ServerUnavailable,
            4 => Self::BadUserNameOrPassword,
            5 => Self::NotAuthorized,
            _ => return None,
        })
    }
}

impl TryFrom<u8> for ReasonCode {
    type Error = DecodeError;

    fn try_from(byte: u8) -> Result<Self, Self::Error> {
        Self::BY_NUMBER[usize::from(byte)]
            .ok_or(DecodeError::Malformed("a reason code that does not exist"))
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} (0x{:02X})", self.code())
    }
}
