//! What of a command reaches the device.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::deadline::Deadline;
use super::signature::Signature;
use super::{Command, CommandId, Verb};

/// A command that may leave: only this module's siblings can make one, so
/// that nothing else in the server can speak on a command topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    id: CommandId,
    verb: Verb,
    expires_at: Timestamp,
    deadline: Option<Deadline>,
    /// For a device that checks it.
    pub(super) signature: Option<Signature>,
}

impl Dispatch {
    pub(super) fn of(command: &Command) -> Self {
        let Command { id, verb, expires_at, deadline, .. } = *command;
        Self { id, verb, expires_at, deadline, signature: None }
    }

    /// What the device is to do.
    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// For how long it may be delivered: nothing when its time is up.
    pub fn left(&self) -> Option<Duration> {
        self.deadline?.left()
    }
}

/// `lock <command> <expires>`, or `lock <command> <expires> <counter> <hmac>`:
/// the verb first, so that the simplest firmware needs no more than the first
/// word; the expiry in Unix seconds.
impl fmt::Display for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.verb, self.id, self.expires_at.as_second())?;
        match &self.signature {
            Some(Signature { counter, hmac }) => write!(f, " {counter} {hmac}"),
            None => Ok(()),
        }
    }
}
