//! How much of a work is done.
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that a process needs for other things than connections.
const OTHER_DESCRIPTORS: u64 = 300;

/// How much of a work is done: all of it, or a part, to try it.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// The part of the messages, and of the seconds where they count; at most 1 makes sense.
    pub messages: f64,
    /// The part of the clients.
    pub clients: f64,
}

impl Scale {
    /// All.
    pub const WHOLE: Self = Self { messages: 1.0, clients: 1.0 };

    /// The part of so many messages.
    pub fn messages(&self, whole: u64) -> u64 {
        ((whole as f64 * self.messages).round() as u64).max(1)
    }

    /// The part of this time.
    pub fn time(&self, whole: Duration) -> Duration {
        whole.mul_f64(self.messages)
    }

    /// The part of so many clients, and no more than there may be descriptors.
    pub fn clients(&self, whole: usize) -> usize {
        let part = ((whole as f64 * self.clients).round() as usize).max(2);
        part.min(most_connections())
    }
}

/// How many connections a process may have.
pub fn most_connections() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(OTHER_DESCRIPTORS)).unwrap_or(usize::MAX)
}

/// Lets this process, and those that it starts, open as many files as the system allows.
pub fn raise_limits() {
    let limit = getrlimit(Resource::Nofile);
    // Where that is refused, fewer connections are made, and the table says how many.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
