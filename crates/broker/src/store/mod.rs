//! What outlives the broker: sessions with what they are owed, and retained
//! messages.
//!
//! The broker notes every change ([`Recorder`]); a thread of its own commits
//! what has gathered since its last commit as one batch, so that a commit is
//! shared by all who wait for it, and nobody waits for more to come. What must
//! not be sent before a change is on disk waits in the output of its
//! connection, behind a barrier.

mod anew;
#[cfg(feature = "testing")]
mod by_hand;
mod error;
mod keys;
mod memory;
mod record;
mod recorder;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod redis_durability;
mod restore;
mod session_log;
#[cfg(feature = "sqlite")]
mod sqlite;
mod stored_message;
mod writer;

#[cfg(feature = "testing")]
pub(crate) use by_hand::ByHand;
pub use error::StoreError;
pub use memory::MemoryStore;
pub(crate) use record::{MessageState, SessionRecord};
pub(crate) use recorder::Recorder;
#[cfg(feature = "redis")]
pub use redis::RedisStore;
pub(crate) use restore::{Restored, restore};
pub(crate) use session_log::{SessionLog, Wait};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub(crate) use stored_message::Keep;
pub use stored_message::{StoredAs, StoredMessage};
pub(crate) use writer::Writer;

/// One change to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Everything whose key begins with this goes. It comes before the puts
    /// of its batch, none of which begins with it.
    DeletePrefix(&'a [u8]),
    /// The key has this value now.
    Put(&'a [u8], &'a [u8]),
    /// The key goes; it need not be there.
    Delete(&'a [u8]),
}

/// Keeps keys and values, a batch at a time. Only one thread uses it.
///
/// A prefix that is deleted is always the first eight bytes of its keys.
pub trait Store: Send + 'static {
    /// Calls `each` with every key and its value, in any order.
    ///
    /// # Errors
    /// Something cannot be read; the broker does not start.
    fn restore(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError>;

    /// Makes all these changes, or none; when it returns, they outlive a
    /// power cut.
    ///
    /// # Errors
    /// They were not made. The broker tries the same batch again, and sends
    /// meanwhile nothing that depends on it.
    fn commit(&mut self, changes: &mut dyn Iterator<Item = Change<'_>>) -> Result<(), StoreError>;

    /// Begins anew after an error that was [`StoreError::lost`]. The next
    /// commit has all that is to be there, for the broker holds it in memory;
    /// what else is there goes, now or with that commit.
    ///
    /// # Errors
    /// That cannot be done now; the broker tries again.
    fn begin_anew(&mut self) -> Result<(), StoreError> {
        Err(StoreError::new("it cannot begin anew"))
    }
}
