//! aedes, as npm brings it, in the few lines that its documentation has.
use std::path::PathBuf;
use std::process::Command;

use latchlight_contest::first_line;

use super::Contestant;
use crate::setup::{Listener, Setup};

/// `aedes`, run by node.
#[derive(Debug)]
pub struct Aedes {
    /// The file that starts it; aedes is installed beside it.
    pub script: PathBuf,
}

impl Contestant for Aedes {
    fn name(&self) -> &str {
        "aedes"
    }

    fn version(&self) -> Option<String> {
        first_line(Command::new("node").arg(&self.script).arg("--version"))
    }

    fn lacks(&self, _: Listener, durable: bool) -> Option<&'static str> {
        durable.then_some("it keeps nothing on disk")
    }

    fn command(&self, setup: &Setup) -> anyhow::Result<Command> {
        let mut command = Command::new("node");
        command.arg(&self.script).arg(setup.port.to_string());
        match setup.listener {
            Listener::Plain => {}
            Listener::Tls => {
                command.arg("tls").args([setup.certificate(), setup.key()]);
            }
            Listener::WebSocket => {
                command.arg("websocket");
            }
        }
        Ok(command)
    }
}
