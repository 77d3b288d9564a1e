//! What a store brings back, as it is shown to the embedding program.

/// A message that a store brings back: see
/// [`BrokerBuilder::keep_stored`](crate::BrokerBuilder::keep_stored).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredMessage<'a> {
    /// Where it was published, or is to be.
    pub topic: &'a str,
    /// What.
    pub payload: &'a [u8],
    /// What it is there for.
    pub stored_as: StoredAs,
}

/// What a message is in a store for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredAs {
    /// It is the retained message of its topic.
    Retained,
    /// A session is owed it: it waits, or was sent and not acknowledged.
    Owed,
    /// It is a client's will, not published yet.
    Will,
}

/// Says which messages are kept.
pub(crate) type Keep = Box<dyn Fn(&StoredMessage<'_>) -> bool + Send>;
