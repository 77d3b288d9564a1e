//! A message of the gateway, as it goes out.

use bytes::Bytes;
use latchlight_mqtt::QoS;

/// The user property that has the id of a message of the gateway.
pub const GATEWAY_ID: &str = "message-id";

/// A message of the gateway, but for its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What.
    pub payload: Bytes,
    /// How often it comes.
    pub qos: QoS,
    /// Whether the broker is to keep it.
    pub retain: bool,
    /// In seconds, from now.
    pub expires_in: Option<u32>,
    /// A media type.
    pub content_type: Option<String>,
    /// Names and values, where the link has properties.
    pub properties: Vec<(String, String)>,
}

/// Why the broker did not take a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It cannot be reached, or does not keep up: later it may.
    #[error("{0}")]
    Away(String),
    /// The connection was lost while it was on its way. It may be what the broker
    /// closes the connection for.
    #[error("{0}")]
    Lost(String),
    /// It does not want it.
    #[error("{0}")]
    Refused(String),
}
