//! How often somebody may do something, and what happens to who does it more
//! often. All of it is bounded in memory, whoever comes.

mod accept_rate;
mod bans;
mod network;
mod pace;

pub(crate) use bans::{Bans, Blame};

pub use accept_rate::AcceptRate;
pub use network::Network;
