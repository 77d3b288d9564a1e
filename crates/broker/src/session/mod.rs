//! Sessions, free of I/O: what a client is owed ([`Outbound`]) and what it is
//! in the middle of saying ([`Inbound`]). They are given packets and the time
//! and give back bytes and effects; sockets stand around them.

mod aliases;
mod in_flight;
mod inbound;
mod live_queue;
mod outbound;
mod output_buffer;
mod queue;
mod sender;
mod stage;
#[cfg(test)]
mod tests;

pub(crate) use aliases::TopicAs;
pub(crate) use in_flight::Kept;
pub(crate) use inbound::Inbound;
pub(crate) use outbound::{Accepted, Answer, Outbound, Receiver};
pub(crate) use output_buffer::OutputBuffer;
pub(crate) use sender::ConnectionLimits;
