//! One issued command, to watch.

use std::time::Duration;

use tokio::sync::watch;

use super::{Command, CommandId, Verb};
use crate::state::DeviceId;

/// Watches one command: a look at it at any time, and a wait for its end.
#[derive(Debug, Clone)]
pub struct CommandHandle {
    command: watch::Receiver<Command>,
}

impl CommandHandle {
    pub(super) fn new(command: watch::Receiver<Command>) -> Self {
        Self { command }
    }

    /// A command that has ended.
    pub(super) fn of_ended(command: Command) -> Self {
        Self { command: watch::channel(command).1 }
    }

    /// The command's id.
    pub fn id(&self) -> CommandId {
        self.command.borrow().id
    }

    /// The device that it is for.
    pub fn device(&self) -> DeviceId {
        self.command.borrow().device.clone()
    }

    /// What the device is to do.
    pub fn verb(&self) -> Verb {
        self.command.borrow().verb
    }

    /// How long it is until it ends by itself: nothing when that has passed.
    pub fn left(&self) -> Option<Duration> {
        self.command.borrow().left()
    }

    /// The command as it stands.
    pub fn snapshot(&self) -> Command {
        self.command.borrow().clone()
    }

    /// The command when it has ended, and its end is on disk.
    pub async fn ended(&self) -> Command {
        let mut command = self.command.clone();
        match command.wait_for(|command| command.status.is_ended()).await {
            Ok(ended) => ended.clone(),
            // Its lane is gone, which happens at the stop only.
            Err(_) => self.snapshot(),
        }
    }
}
