//! CONNECT: a client asks for a session (MQTT 5, 3.1).

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;

use crate::packet::Body;
use crate::property::Place;
use crate::writer::{self, put_binary, put_str, put_u16};
use crate::{
    DecodeError, EncodeError, PacketType, Properties, PropertyId, ProtocolVersion, QoS, TopicName,
};

const USERNAME: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL_RETAIN: u8 = 0x20;
const WILL: u8 = 0x04;
const CLEAN_START: u8 = 0x02;

/// A client asks for a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    /// The version that the client speaks.
    pub version: ProtocolVersion,
    /// Clean Start, or Clean Session before MQTT 5.
    pub clean_start: bool,
    /// In seconds; 0 is none.
    pub keep_alive: u16,
    /// Empty: the server makes one.
    pub client_id: ByteString,
    /// What is published when the client is gone.
    pub will: Option<Will>,
    /// The user name.
    pub username: Option<ByteString>,
    /// The password.
    pub password: Option<Bytes>,
    /// MQTT 5 only.
    pub properties: Properties,
}

/// What is published when the client is gone without saying so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Where.
    pub topic: TopicName,
    /// What.
    pub payload: Bytes,
    /// How often.
    pub qos: QoS,
    /// Whether it is kept.
    pub retain: bool,
    /// MQTT 5 only.
    pub properties: Properties,
}

/// Never shows the password.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will.as_ref().map(|will| &will.topic))
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

impl Connect {
    /// A clean start without will and credentials, keep alive 60 s.
    pub fn new(version: ProtocolVersion, client_id: impl Into<ByteString>) -> Self {
        Self {
            version,
            clean_start: true,
            keep_alive: 60,
            client_id: client_id.into(),
            will: None,
            username: None,
            password: None,
            properties: Properties::new(),
        }
    }

    pub(crate) fn decode(body: &mut Body<'_>) -> Result<Self, DecodeError> {
        let name = body.reader.binary()?;
        let level = body.reader.u8()?;
        let version = match (name, level) {
            (b"MQIsdp", 3) => ProtocolVersion::V31,
            (b"MQTT", 4) => ProtocolVersion::V311,
            (b"MQTT", 5) => ProtocolVersion::V5,
            // [MQTT-3.1.2-2]; a bridge of others sets the upper bit.
            (b"MQIsdp" | b"MQTT", level) => return Err(DecodeError::UnsupportedVersion(level)),
            // [MQTT-3.1.2-1]
            _ => return Err(DecodeError::Malformed("the protocol name is not MQTT")),
        };
        let flags = body.reader.u8()?;
        check_flags(flags, version)?;
        let keep_alive = body.reader.u16()?;
        let place = Place::Packet(PacketType::Connect);
        let properties = if version.is_v5() {
            Properties::decode(body.frame, &mut body.reader, place)?
        } else {
            Properties::new()
        };
        // MQTT 5, 3.1.2.11.10: data without a method has no meaning.
        if properties.authentication_data.is_some() && properties.authentication_method.is_none() {
            return Err(DecodeError::Protocol("authentication data without a method"));
        }
        let client_id = body.string()?;
        let clean_start = flags & CLEAN_START != 0;
        client_id_fits(&client_id, clean_start, version).map_err(DecodeError::ClientId)?;
        let will = if flags & WILL != 0 { Some(Will::decode(body, flags, version)?) } else { None };
        let username = match flags & USERNAME {
            0 => None,
            _ => Some(body.string()?),
        };
        let password = match flags & PASSWORD {
            0 => None,
            _ => Some(body.binary()?),
        };
        Ok(Self {
            version,
            clean_start,
            keep_alive,
            client_id,
            will,
            username,
            password,
            properties,
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.check()?;
        writer::packet(out, 0x10, |out| {
            put_binary(out, self.version.name().as_bytes())?;
            out.push(self.version.level());
            out.push(self.flags());
            put_u16(out, self.keep_alive);
            if self.version.is_v5() {
                self.properties.encode(Place::Packet(PacketType::Connect), out)?;
            }
            put_str(out, &self.client_id)?;
            if let Some(will) = &self.will {
                if self.version.is_v5() {
                    will.properties.encode(Place::Will, out)?;
                }
                put_binary(out, will.topic.as_str().as_bytes())?;
                put_binary(out, &will.payload)?;
            }
            if let Some(username) = &self.username {
                put_str(out, username)?;
            }
            if let Some(password) = &self.password {
                put_binary(out, password)?;
            }
            Ok(())
        })
    }

    /// What the version asks of the fields together.
    fn check(&self) -> Result<(), EncodeError> {
        client_id_fits(&self.client_id, self.clean_start, self.version)
            .map_err(EncodeError::ClientId)?;
        let properties = &self.properties;
        if properties.authentication_data.is_some() && properties.authentication_method.is_none() {
            return Err(EncodeError::Property(PropertyId::AuthenticationData));
        }
        if !self.version.is_v5() && self.password.is_some() && self.username.is_none() {
            return Err(EncodeError::Password);
        }
        Ok(())
    }

    fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.clean_start {
            flags |= CLEAN_START;
        }
        if let Some(will) = &self.will {
            flags |= WILL | (will.qos as u8) << 3;
            if will.retain {
                flags |= WILL_RETAIN;
            }
        }
        if self.username.is_some() {
            flags |= USERNAME;
        }
        if self.password.is_some() {
            flags |= PASSWORD;
        }
        flags
    }
}

impl Will {
    fn decode(
        body: &mut Body<'_>,
        flags: u8,
        version: ProtocolVersion,
    ) -> Result<Self, DecodeError> {
        let properties = if version.is_v5() {
            Properties::decode(body.frame, &mut body.reader, Place::Will)?
        } else {
            Properties::new()
        };
        let topic = body.string()?;
        let topic = TopicName::try_from(topic).map_err(|_| DecodeError::TopicName)?;
        let payload = body.binary()?;
        let qos = QoS::try_from(flags >> 3 & 0x03)?;
        Ok(Self { topic, payload, qos, retain: flags & WILL_RETAIN != 0, properties })
    }
}

fn check_flags(flags: u8, version: ProtocolVersion) -> Result<(), DecodeError> {
    // [MQTT-3.1.2-3]; 3.1 has no word on that bit.
    if flags & 0x01 != 0 && version != ProtocolVersion::V31 {
        return Err(DecodeError::Malformed("the reserved flag of CONNECT is set"));
    }
    // [MQTT-3.1.2-11], [MQTT-3.1.2-12], [MQTT-3.1.2-13]
    if flags & WILL == 0 && flags & 0x38 != 0 {
        return Err(DecodeError::Malformed("flags of a will, but no will"));
    }
    // 3.1.1: [MQTT-3.1.2-22]; MQTT 5 lets a password stand alone.
    if !version.is_v5() && flags & PASSWORD != 0 && flags & USERNAME == 0 {
        return Err(DecodeError::Malformed("a password without a user name"));
    }
    Ok(())
}

/// The client ids of old versions; says why where one does not fit.
fn client_id_fits(
    id: &str,
    clean_start: bool,
    version: ProtocolVersion,
) -> Result<(), &'static str> {
    match version {
        ProtocolVersion::V31 if id.is_empty() => Err("3.1 wants at least one character"),
        // 3.1.1: [MQTT-3.1.3-8]
        ProtocolVersion::V311 if id.is_empty() && !clean_start => {
            Err("an empty one goes with a clean session only")
        }
        _ => Ok(()),
    }
}
