//! Mosquitto, as Debian brings it, with its defaults.
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use latchlight_contest::{first_line, free_port};

use super::Contestant;
use crate::setup::{Listener, Setup};

/// `mosquitto`.
#[derive(Debug)]
pub struct Mosquitto {
    /// The program.
    pub program: PathBuf,
}

impl Contestant for Mosquitto {
    fn name(&self) -> &str {
        "Mosquitto"
    }

    fn version(&self) -> Option<String> {
        first_line(Command::new(&self.program).arg("-h"))
    }

    fn lacks(&self, _: Listener, _: bool) -> Option<&'static str> {
        None
    }

    fn command(&self, setup: &Setup) -> anyhow::Result<Command> {
        let mut lines = "allow_anonymous true\n".to_owned();
        if setup.listener == Listener::WebSocket {
            // With a WebSocket alone it ends, for it counts the others only.
            writeln!(lines, "listener {} 127.0.0.1", free_port()?)?;
        }
        writeln!(lines, "listener {} 127.0.0.1", setup.port)?;
        // Started as root it would become another user, who may not write to the folder.
        lines.push_str("user root\n");
        match setup.listener {
            Listener::Plain => {}
            Listener::WebSocket => lines.push_str("protocol websockets\n"),
            Listener::Tls => {
                let (certificate, key) = (setup.certificate(), setup.key());
                write!(lines, "certfile {}\nkeyfile {}\n", certificate.display(), key.display())?;
            }
        }
        if setup.durable {
            let folder = setup.folder.path().display();
            // It writes its file now and then, and acknowledges before.
            write!(lines, "persistence true\npersistence_location {folder}/\n")?;
        }
        let file = setup.path("mosquitto.conf");
        fs::write(&file, lines).context("write mosquitto.conf")?;
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(file);
        Ok(command)
    }
}
