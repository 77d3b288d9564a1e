//! A page of a device's commands, as somebody may know of them.

use std::time::Duration;

use super::query::Limit;
use crate::commands::{Command, CommandId, Commands, JournalError};
use crate::identity::View;
use crate::state::DeviceId;

/// How many are looked at for a page at the most: of a long past, a guest may
/// know of few.
const LOOKED_AT: usize = 1000;

/// By how much the clock of who made an id may be behind.
const BEHIND: Duration = Duration::from_secs(24 * 60 * 60);

/// A page of a device's commands.
pub(super) struct CommandPage<'a> {
    pub(super) device: &'a DeviceId,
    pub(super) view: &'a View,
    pub(super) limit: Limit,
}

impl CommandPage<'_> {
    /// The newest of them that are older than `before`; and what to ask for
    /// next, where there may be more.
    pub(super) async fn read(
        &self,
        record: &Commands,
        mut before: Option<CommandId>,
    ) -> Result<(Vec<Command>, Option<CommandId>), JournalError> {
        let Limit(limit) = self.limit;
        let mut shown: Vec<Command> = Vec::new();
        let mut looked_at = 0;
        loop {
            let commands = record.of_device(self.device, before, limit + 1).await?;
            let is_last = commands.len() <= limit as usize;
            for command in commands {
                looked_at += 1;
                before = Some(command.id);
                if !self.view.shows(command.issued_at) {
                    continue;
                }
                if shown.len() == limit as usize {
                    let next = shown.last().map(|command| command.id);
                    return Ok((shown, next));
                }
                shown.push(command);
            }
            if is_last || before.is_some_and(|id| self.is_too_old(id)) {
                return Ok((shown, None));
            }
            if looked_at >= LOOKED_AT {
                return Ok((shown, before));
            }
        }
    }

    /// Whether all that comes behind this one is of before their time.
    fn is_too_old(&self, id: CommandId) -> bool {
        let begin = self.view.begins().and_then(|begin| begin.checked_sub(BEHIND).ok());
        let made_at = id.made_at();
        begin.zip(made_at).is_some_and(|(begin, made_at)| made_at < begin)
    }
}
