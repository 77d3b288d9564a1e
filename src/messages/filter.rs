//! Which messages are meant.

use jiff::Timestamp;
use latchlight_mqtt::TopicFilter;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{MessageId, MessageState};

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It was to go to the broker.
    Sent,
    /// It came from the broker.
    Received,
}

/// Which messages are meant: those that are like all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// On the topics of this filter.
    pub topic: Option<TopicFilter>,
    /// Of this device.
    pub device: Option<String>,
    /// Which went this way.
    pub direction: Option<Direction>,
    /// Of which this became.
    pub state: Option<MessageState>,
    /// Which came at this moment or later.
    pub from: Option<Timestamp>,
    /// Which came earlier than this.
    pub to: Option<Timestamp>,
    /// Which this account has sent, by what is never anybody else's.
    pub account: Option<String>,
}

/// Where a page begins, and which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The newest first, of those that are older than this one.
    Before(Option<MessageId>),
    /// The oldest first, of those that are newer than the first one, up to the
    /// second.
    After(Option<MessageId>, MessageId),
}

/// How many messages are like a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// So many.
    pub count: i64,
    /// Whether there are no more: it is not counted for ever.
    pub is_exact: bool,
}

impl Direction {
    /// The word, as in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Received => "received",
        }
    }
}

impl From<MessageState> for Direction {
    fn from(state: MessageState) -> Self {
        if state == MessageState::Received { Self::Received } else { Self::Sent }
    }
}
