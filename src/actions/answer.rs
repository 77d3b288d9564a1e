//! What an action gives back.

use latchlight_plugin_api::Reply;

use crate::commands::CommandHandle;

/// What an action has to say; empty, nothing is sent but that it was done.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// For the caller, after `ok <word>`.
    pub text: Option<String>,
    /// To topics of the action's own choice, where the gate lets them.
    pub replies: Vec<Reply>,
    /// What was issued; the caller's answer waits for their ends.
    pub commands: Vec<CommandHandle>,
}

impl Answer {
    /// It was done, and there is no more to say.
    pub fn done() -> Self {
        Self::default()
    }

    /// It was done, and this is what came of it.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// These commands were issued.
    pub fn commands(commands: Vec<CommandHandle>) -> Self {
        Self { commands, ..Self::default() }
    }
}
