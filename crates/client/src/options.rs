//! What a client connects with.
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use latchlight_mqtt::{Connect, PropertyValues, ProtocolVersion, Will};

use crate::backoff::Backoff;
use crate::broker_url::BrokerUrl;

/// Who acknowledges received messages of QoS 1 and 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acknowledge {
    /// The client, as soon as the message stands in the event queue.
    #[default]
    Automatically,
    /// You, by [`Client::acknowledge`](crate::Client::acknowledge), once the message is dealt with.
    Manually,
}

/// How a [`Client`](crate::Client) connects and behaves; every field has a default but the address
/// and the client id.
#[derive(Clone)]
pub struct ClientOptions {
    /// `host:port`.
    pub address: String,
    /// The protocol version to speak: MQTT 5 by default.
    pub version: ProtocolVersion,
    /// The client id. Empty: the server makes one (not in MQTT 3.1).
    pub client_id: ByteString,
    /// Whether the first connection starts with an empty session: yes by default. In MQTT 3.1.1 and
    /// 3.1 it also says that the session ends with each connection.
    pub clean_start: bool,
    /// For how many seconds the server keeps the session after the connection (MQTT 5): 0 by
    /// default, `u32::MAX` for ever.
    pub session_expiry: u32,
    /// After how much silence a ping is due: a minute by default. Zero turns pings off. Whole
    /// seconds; MQTT 5 servers may ask for another.
    pub keep_alive: Duration,
    /// The user name.
    pub username: Option<ByteString>,
    /// The password.
    pub password: Option<Bytes>,
    /// What the server publishes when the connection ends without a DISCONNECT.
    pub will: Option<Will>,
    /// How long opening the connection and the CONNACK may take: 10 seconds by default.
    pub connect_timeout: Duration,
    /// How long to wait before each new attempt to connect.
    pub backoff: Backoff,
    /// How many messages of QoS 1 and 2 are under way at once: 100 by default, and never more than
    /// the server's Receive Maximum. Further ones wait.
    pub max_in_flight: u16,
    /// How many requests wait for their turn before their callers are made to wait: 64 by default.
    pub request_queue: usize,
    /// How many events wait for you before the client stops reading, which makes the server hold
    /// back: 256 by default.
    pub event_queue: usize,
    /// Who acknowledges what is received.
    pub acknowledge: Acknowledge,
    /// How many messages of QoS 1 and 2 the server may send before it is answered (MQTT 5).
    pub receive_maximum: Option<u16>,
    /// The largest packet that is received, in bytes: 1 MiB by default.
    pub max_packet_size: u32,
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the password nor what the will says stands in a log.
        formatter
            .debug_struct("ClientOptions")
            .field("address", &self.address)
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .field("keep_alive", &self.keep_alive)
            .finish_non_exhaustive()
    }
}

impl ClientOptions {
    /// The defaults, for a broker at `host:port`.
    pub fn new(address: impl Into<String>, client_id: impl Into<ByteString>) -> Self {
        Self {
            address: address.into(),
            version: ProtocolVersion::V5,
            client_id: client_id.into(),
            clean_start: true,
            session_expiry: 0,
            keep_alive: Duration::from_secs(60),
            username: None,
            password: None,
            will: None,
            connect_timeout: Duration::from_secs(10),
            backoff: Backoff::default(),
            max_in_flight: 100,
            request_queue: 64,
            event_queue: 256,
            acknowledge: Acknowledge::default(),
            receive_maximum: None,
            max_packet_size: 1024 * 1024,
        }
    }

    /// The defaults, for a broker and the credentials that a URL names.
    pub fn for_broker(broker: &BrokerUrl, client_id: impl Into<ByteString>) -> Self {
        Self {
            username: broker.username.clone(),
            password: broker.password.clone(),
            ..Self::new(broker.address.clone(), client_id)
        }
    }

    /// The keep alive as CONNECT has it.
    pub(crate) fn keep_alive_seconds(&self) -> u16 {
        match self.keep_alive.as_secs() {
            0 if self.keep_alive.is_zero() => 0,
            seconds => u16::try_from(seconds.max(1)).unwrap_or(u16::MAX),
        }
    }

    /// The CONNECT for the first connection, or for a later one that `resumes` the session.
    pub(crate) fn connect_packet(&self, resumes: bool) -> Connect {
        let version_5 = self.version == ProtocolVersion::V5;
        let mut connect = Connect {
            version: self.version,
            // Clean Session of 3.1.1 is the session's for its whole life; Clean Start of MQTT 5
            // would throw away at each reconnect what the session expiry asked to keep.
            clean_start: self.clean_start && !(version_5 && resumes && self.session_expiry > 0),
            keep_alive: self.keep_alive_seconds(),
            client_id: self.client_id.clone(),
            will: self.will.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            properties: Default::default(),
        };
        if version_5 {
            connect.properties = PropertyValues {
                maximum_packet_size: Some(self.max_packet_size),
                receive_maximum: self.receive_maximum,
                session_expiry_interval: (self.session_expiry > 0).then_some(self.session_expiry),
                ..PropertyValues::default()
            }
            .into();
        }
        connect
    }
}
