//! What is to be issued.

use jiff::Timestamp;

use super::deadline::Deadline;
use super::issue::Reserved;
use super::{Command, CommandHandle, CommandId, IssueError, Status, Verb};
use crate::config::CommandSettings;
use crate::identity::Principal;
use crate::state::DeviceId;

/// What is to be issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The id that the issuer gave it; the same id acts once.
    pub id: Option<CommandId>,
    /// The device.
    pub device: DeviceId,
    /// What it is to do.
    pub verb: Verb,
    /// Who asks, through what, and from where.
    pub principal: Principal,
    /// Why it may not be, where it may not: recorded and not sent.
    pub refused: Option<String>,
}

impl Order {
    pub(super) fn into_command(self, settings: &CommandSettings) -> Command {
        let now = Timestamp::now();
        let mut command = Command {
            id: self.id.unwrap_or_else(CommandId::generate),
            device: self.device,
            verb: self.verb,
            issuer: self.principal.to_string(),
            through: Some(self.principal.through),
            address: self.principal.address,
            asked_by: Some(self.principal),
            status: Status::Issued,
            detail: None,
            issued_at: now,
            sent_at: None,
            delivered_at: None,
            ended_at: None,
            expires_at: now + settings.lifetime(),
            deadline: Some(Deadline::after(settings.lifetime())),
        };
        if let Some(reason) = self.refused {
            command.end(Status::Refused, Some(reason));
        }
        command
    }

    pub(super) fn known_as(&self, handle: CommandHandle) -> Result<Reserved, IssueError> {
        let command = handle.snapshot();
        let same = self.device == command.device
            && self.verb == command.verb
            && self.principal.to_string() == command.issuer;
        if same { Ok(Reserved::Known(handle)) } else { Err(IssueError::IdTaken(command.id)) }
    }
}
