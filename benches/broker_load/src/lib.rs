//! A load generator for MQTT brokers, and a comparison of them.
//!
//! The generator works with raw sockets: one thread serves all connections of a work through
//! epoll, reads large, gathers writes, and takes packets apart with the codec, so that it takes
//! less processor time than any broker; it says its own beside the broker's. Every work checks what
//! came: each message once, in order, none lost at QoS 1, and what was lost at QoS 0 is counted.
//!
//! Deliberately absent: several generating machines, and brokers elsewhere than on this one, whose
//! processor time could not be read. Linux only: it reads /proc.
#![cfg(target_os = "linux")]

pub mod compare;
pub mod contestants;
pub mod flow;
pub mod layer;
pub mod link;
pub mod meter;
pub mod outcome;
pub mod packets;
pub mod pool;
pub mod report;
pub mod scale;
pub mod senders;
pub mod setup;
pub mod tally;
pub mod target;
pub mod works;

pub use outcome::{Figure, Outcome};
pub use scale::{Scale, raise_limits};
pub use setup::{Listener, Setup};
pub use target::{Target, Transport};
pub use works::{WORKS, Work};
