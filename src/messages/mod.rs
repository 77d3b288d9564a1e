//! The message gateway: messages that apps have sent to topics of theirs, and
//! the record of them.
//!
//! A message is on disk before it is published, and marked when the broker has
//! taken it: [`Messages`] accepts, `journal.rs` writes, `outbox.rs` publishes,
//! one after the other on each topic. What a server that was killed had not
//! marked, the next one sends again, with the same id among its properties.
//!
//! Absent by design: nothing here reaches a device's command topic, what the
//! server alone says, or what it listens on; the gate decides that
//! (`device_interface/topics/gate.rs`).

mod counts;
mod draft;
mod error;
mod filter;
mod gateway;
mod journal;
mod load;
mod message;
mod message_id;
mod outbox;
mod received;
mod retention;
mod rows;
mod scan;
mod sending;

pub use draft::{Draft, LONGEST_LIFE, NewMessage, To};
pub use error::{InvalidDraft, MessageError, NotAccepted};
pub use filter::{Direction, Filter, Position, Total};
pub use gateway::{MessageParts, Messages};
pub use message::{Message, MessageState};
pub use message_id::{InvalidMessageId, MessageId};
pub use sending::{Ending, Sending};
