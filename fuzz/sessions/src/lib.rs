//! Whole sessions: a script drives several clients of mixed versions, and one
//! that keeps to nothing, against one broker; time passes, the store fails, the
//! power goes. A model of what the clients were promised checks all that they
//! get:
//!
//! - nothing panics, and all that is sent decodes as the client's version;
//! - what was acknowledged reaches every session that was subscribed before:
//!   QoS 1 at least once, QoS 2 exactly once, also over a restart; but for what
//!   has expired, was refused to its publisher, or is counted as dropped;
//! - of one publisher, topic and QoS, messages come in their order;
//! - nobody gets what it is not subscribed to, nor more often than it may;
//! - packet ids are free when they are used, and the client's window is kept;
//! - a will does not come before its delay is over;
//! - retained messages are the newest ones;
//! - when all are gone, nothing of them is left.
//!
//! A script is any bytes ([`run`]): fuzzers make them up, tests replay them.

mod client;
mod ending;
mod hunt;
mod message;
mod op;
mod peer;
mod receiving;
mod retained;
mod rules;
mod script;
mod setup;
mod slot;
mod world;

pub use hunt::{Finding, hunt};
pub use world::{run, set_loud};
