//! The device interface: the actor that listens to the topics, picks the
//! action by a message's first word, performs it and sends the reply.
//!
//! One per process; everything else reaches it through its [`Handle`], so
//! that HTTP and MQTT meet here: same registry, same action, same
//! permissions, same state.

mod actor;
mod admission;
mod arrivals;
mod attendance;
mod codes;
mod counts;
mod dispatch;
mod handle;
mod join;
mod joins;
mod lanes;
pub mod link;
mod mistakes;
mod outbox;
mod payload;
mod presence;
mod state_topics;
mod topic_access;
pub mod topic_rules;
pub mod topics;

pub use actor::{Actor, Parts};
pub use counts::Counts;
pub use handle::{Handle, Operation, Selection};
pub use mistakes::Mistakes;
pub use outbox::LinkOutbox;
pub use presence::Presence;
pub use topics::DeviceTopicNames;
