//! `ack <command> ok`, or `ack <command> failed [why]`: a device says what
//! became of a command. Never answered.

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo, Callers};

use super::{Action, Answer, Context, Request};
use crate::commands::CommandId;

/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 200;

pub(super) struct Ack;

#[async_trait]
impl Action for Ack {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "ack".to_owned(),
            description: "A device says that it did a command, or why it could not.".to_owned(),
            callers: Callers::DEVICES,
            secret: false,
        }
    }

    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError> {
        let id = request.device()?;
        let shape =
            || ActionError::bad_input("ack: `ack <command> ok`, or `ack <command> failed [why]`");
        let (command, rest) = request.rest.split_once(char::is_whitespace).ok_or_else(shape)?;
        let command: CommandId =
            command.parse().map_err(|error| ActionError::bad_input(format!("ack: {error}")))?;
        let (word, why) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let result = match word {
            "ok" => Ok(()),
            "failed" if why.trim().is_empty() => Err("the device could not".to_owned()),
            "failed" => Err(why.trim().chars().take(LONGEST_REASON).collect()),
            _ => return Err(shape()),
        };
        if !context.commands.acknowledge(&id, command, result) {
            tracing::debug!(device = %id, %command, "acknowledged what is not outstanding");
        }
        Ok(Answer::done())
    }
}
