//! A message on record.

use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use latchlight_mqtt::QoS;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::MessageId;

/// A message as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, which has the time when it came.
    pub id: MessageId,
    /// What became of it.
    pub state: MessageState,
    /// Where it was published, or is to be.
    pub topic: Arc<str>,
    /// The device that it is for, or came from.
    pub device: Option<String>,
    /// The account that sent it, by what is never anybody else's.
    pub account: Option<String>,
    /// The same by name.
    pub sender: Option<String>,
    /// What.
    pub payload: Bytes,
    /// How often it comes.
    pub qos: QoS,
    /// Whether the broker is to keep it.
    pub retain: bool,
    /// A media type.
    pub content_type: Option<String>,
    /// Names and values.
    pub properties: Vec<(String, String)>,
    /// From when on it is of no use.
    pub expires_at: Option<Timestamp>,
    /// When the broker took it, or it was given up.
    pub ended_at: Option<Timestamp>,
    /// Why it was given up.
    pub detail: Option<String>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// It waits for the broker.
    Waiting,
    /// The broker took it.
    Sent,
    /// The broker did not.
    Failed,
    /// Its time was over before the broker took it.
    Expired,
    /// Who sent it might not any more when its turn came, or nobody may go there.
    Refused,
    /// It came from the broker.
    Received,
}

impl MessageState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Sent, Self::Failed, Self::Expired, Self::Refused, Self::Received];

    /// The word, as in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Received => "received",
        }
    }
}

impl FromStr for MessageState {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| format!("`{word}` is no state of a message"))
    }
}

impl Message {
    /// The payload, where it is a text.
    pub fn text(&self) -> Option<&str> {
        // PostgreSQL, and many who read it, take no U+0000 for text.
        std::str::from_utf8(&self.payload).ok().filter(|text| !text.contains('\0'))
    }
}
