//! What of a command reaches the device.

use std::fmt;

use jiff::Timestamp;

use super::{Command, CommandId, Verb};

/// A command that may leave: only this module's siblings can make one, so
/// that nothing else in the server can speak on a command topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    id: CommandId,
    verb: Verb,
    expires_at: Timestamp,
}

impl Dispatch {
    pub(super) fn of(command: &Command) -> Self {
        Self { id: command.id, verb: command.verb, expires_at: command.expires_at }
    }

    /// What the device is to do.
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// When it must not be delivered any more.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// `lock <command> <expires>`: the verb first, so that the simplest firmware
/// needs no more than the first word; the expiry in Unix seconds.
impl fmt::Display for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.verb, self.id, self.expires_at.as_second())
    }
}
