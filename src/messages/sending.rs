//! A message that was accepted, for whoever waits for its end.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{MessageId, MessageState};

/// What became of a message that was to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The broker took it.
    Sent,
    /// The broker did not, and why.
    Failed(String),
    /// Its time was over, and which.
    Expired(&'static str),
    /// It may not go there, or not on behalf of who sent it, and why.
    Refused(String),
}

/// A message that is on disk and on its way.
#[derive(Debug)]
pub struct Sending {
    /// Its id.
    pub id: MessageId,
    /// It stays in the outbox while the broker is away.
    pub(super) is_queued: bool,
    /// The broker was away when it was accepted.
    pub(super) is_away: bool,
    pub(super) ended: oneshot::Receiver<Ending>,
}

impl Ending {
    /// The state on record.
    pub fn state(&self) -> MessageState {
        match self {
            Self::Sent => MessageState::Sent,
            Self::Failed(_) => MessageState::Failed,
            Self::Expired(_) => MessageState::Expired,
            Self::Refused(_) => MessageState::Refused,
        }
    }

    /// Why it was given up.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Failed(why) | Self::Refused(why) => Some(why),
            Self::Expired(why) => Some(why),
            Self::Sent => None,
        }
    }
}

impl Sending {
    /// How it ended; nothing: it waits in the outbox. One that is not queued
    /// always ends; one that is, is waited for this long at the most.
    pub async fn outcome(self, patience: Duration) -> Option<Ending> {
        if !self.is_queued {
            // The outbox goes only when the server stops, and its row stays.
            return self.ended.await.ok();
        }
        let patience = if self.is_away { Duration::ZERO } else { patience };
        tokio::time::timeout(patience, self.ended).await.ok()?.ok()
    }
}
