//! The life of a command: issued → sent → delivered → one ending.
//!
//! [`Commands`] issues; a lane per device keeps its commands in order, one
//! outstanding at a time; the journal has a command on disk before it leaves,
//! and its end on disk before anyone is told. Only this module can make a
//! [`Dispatch`], without which nothing reaches a device's command topic; for a
//! device that has a key it is signed.
//!
//! Absent by design: nothing is queued for a device that is away, nothing is
//! sent a second time, and nothing is sent after a restart.

mod command;
mod command_id;
mod counter;
mod counts;
mod deadline;
mod dispatch;
mod flight;
mod handle;
mod idempotency;
mod issue;
mod journal;
mod lane;
mod order;
mod pace;
mod retention;
mod run_clock;
mod signature;
mod verb;

pub use command::{Command, Status};
pub use command_id::{CommandId, InvalidCommandId};
pub use dispatch::Dispatch;
pub use flight::{Flight, FlightEnd, FlightEvent, Launcher, NoReceipt, Receipt};
pub use handle::CommandHandle;
pub use idempotency::{Begin, Ticket};
pub use issue::{CommandParts, Commands, IssueError};
pub use journal::JournalError;
pub use order::Order;
pub use pace::TooFast;
pub(crate) use run_clock::RunClock;
pub use verb::Verb;
