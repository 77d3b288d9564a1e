//! Any other broker, by its command.
use std::process::Command;

use super::Contestant;
use crate::setup::{Listener, Setup};

/// A broker that a command starts.
#[derive(Debug)]
pub struct Other {
    /// The command, for the shell.
    pub line: String,
    /// Where it listens then.
    pub port: u16,
}

impl Contestant for Other {
    fn name(&self) -> &str {
        &self.line
    }

    fn version(&self) -> Option<String> {
        None
    }

    fn lacks(&self, listener: Listener, durable: bool) -> Option<&'static str> {
        (listener != Listener::Plain || durable).then_some("only plain TCP is asked of it")
    }

    fn port(&self) -> Option<u16> {
        Some(self.port)
    }

    fn command(&self, _: &Setup) -> anyhow::Result<Command> {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {}", self.line)]);
        Ok(command)
    }
}
