//! A real mosquitto for the server to run on.

#[path = "../../crates/client/tests/support/free_port.rs"]
mod free_port;

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;
use free_port::free_port;

/// A mosquitto of this test's own, on a free port.
pub(crate) struct Mosquitto {
    process: Option<Process>,
    folder: TempDir,
    environment: Vec<(String, String)>,
    port: u16,
}

impl Mosquitto {
    /// One that lets everybody in.
    pub(crate) fn start() -> Self {
        Self::start_with("allow_anonymous true", &[])
    }

    /// One with these lines in its configuration, and this environment.
    pub(crate) fn start_with(lines: &str, environment: &[(&str, &str)]) -> Self {
        for _ in 0..5 {
            let folder = TempDir::new().unwrap();
            let port = free_port();
            // It keeps the test's user, so that it may read the test's files.
            let text = format!(
                "user root\nlistener {port} 127.0.0.1\npersistence_location {}/\n{lines}\n",
                folder.path().display()
            );
            std::fs::write(folder.path().join("mosquitto.conf"), text).unwrap();
            let environment =
                environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let mut mosquitto = Self { process: None, folder, environment, port };
            if mosquitto.starts() {
                return mosquitto;
            }
            // Somebody else took the port in between: take another.
        }
        panic!(
            "mosquitto does not start: is it installed (script/bootstrap), are its lines right?"
        );
    }

    fn starts(&mut self) -> bool {
        let mut mosquitto = Command::new("/usr/sbin/mosquitto");
        mosquitto.arg("-c").arg(self.folder.path().join("mosquitto.conf"));
        mosquitto.envs(self.environment.iter().map(|(key, value)| (key, value)));
        mosquitto.stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::spawn(&mut mosquitto);
        while process.is_running() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                self.process = Some(process);
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Ends it, so that it saves what it is to keep.
    pub(crate) fn stop(&mut self) {
        self.process.take().unwrap().stop();
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        drop(self.process.take());
    }

    /// The same again, on the same port.
    pub(crate) fn start_again(&mut self) {
        assert!(self.starts(), "mosquitto does not start again");
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The same by name, as a certificate has it.
    pub(crate) fn named_address(&self) -> String {
        format!("localhost:{}", self.port)
    }
}
