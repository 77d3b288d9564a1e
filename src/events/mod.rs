//! The record of what happened: who did what, through what and from where,
//! what came of it, and what was refused (SAFETY C27).
//!
//! The table `events` is added to and never changed: the database itself
//! refuses UPDATE, DELETE and REPLACE (migration 0006). What is older than the
//! settings keep goes when a mark is moved over it, and of each such step the
//! record tells. That a command was issued, and its end, become events by
//! triggers on the table `commands`, in the same transactions (migrations 0006
//! and 0014); all else comes through [`Events`]:
//!
//! ```
//! # use latchlight::events::{Event, EventError, Events, Kind};
//! # use latchlight::identity::{Principal, Through};
//! # async fn example(events: &Events, principal: &Principal) -> Result<(), EventError> {
//! // A change of accounts, credentials, plugins: answered when this is on disk.
//! let added = Event::of(Kind::Account, principal, "add").detail("user bob, role guest");
//! events.record_now(added).await?;
//!
//! // What may be written a moment later, with what else there is.
//! events.record(Event::of(Kind::SignIn, principal, "token"));
//!
//! // A refusal. Equal ones of one source are gathered, so that no flood of
//! // them fills the record; of a stranger nothing is the actor.
//! events.refused(Event::of(Kind::Refusal, principal, "unlock").refused("no grant"));
//! let address = "192.0.2.7".parse().ok();
//! let stranger = Event::of_nobody(Kind::SignIn, Through::Http, address, "token");
//! events.refused(stranger.refused("wrong name or password, for `bob`"));
//!
//! // What a device brings about by itself, and may over and over.
//! events.observed(Event::of(Kind::State, principal, "locked").detail("was unlocked"));
//! # Ok(())
//! # }
//! ```
//!
//! No event has a secret in it: no password, token, code or PIN (SAFETY C30).
//! Texts are shortened, and what would not stay on one line is escaped.
//!
//! Who follows the record gets what comes after what they know, from one reader
//! for all (`feed.rs`): what is on disk, whoever wrote it, and nothing else.
//!
//! Absent by design: nothing waits for an event but who asked to.

mod counts;
mod error;
mod event;
mod export;
mod feed;
mod frame;
mod gathering;
mod handle;
mod lines;
mod observations;
mod recorded;
mod retention;
mod rows;
mod which;
mod writer;

pub use error::EventError;
pub use event::{Event, Kind, Outcome};
pub use feed::Following;
pub use frame::{Frame, NarrowFrame};
pub use handle::Events;
pub use recorded::{Filter, Recorded};
pub use which::Which;
