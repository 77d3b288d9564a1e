//! Ours: the program `latchlight-broker` with its defaults.
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use latchlight_contest::first_line;

use super::Contestant;
use crate::setup::{Listener, Setup};

/// `latchlight-broker`.
#[derive(Debug)]
pub struct Latchlight {
    /// The program.
    pub program: PathBuf,
}

impl Contestant for Latchlight {
    fn name(&self) -> &str {
        "Latchlight"
    }

    fn version(&self) -> Option<String> {
        first_line(Command::new(&self.program).arg("--version"))
    }

    fn lacks(&self, _: Listener, _: bool) -> Option<&'static str> {
        None
    }

    fn command(&self, setup: &Setup) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        if setup.listener == Listener::Plain {
            command.args(["--port", &setup.port.to_string(), "--allow-anonymous"]);
            if setup.durable {
                command.arg("--store").arg(setup.path("store"));
            }
            return Ok(command);
        }
        let kind = match setup.listener {
            Listener::Tls => "type: tls, certificate: certificate.pem, key: key.pem",
            _ => "type: ws",
        };
        let file = setup.path("broker.yaml");
        let lines = format!(
            "listeners:\n  - {{address: \"127.0.0.1:{}\", {kind}}}\n\
             access: {{allow_anonymous: true}}\n",
            setup.port
        );
        fs::write(&file, lines).context("write broker.yaml")?;
        command.arg("--config").arg(file);
        Ok(command)
    }
}
