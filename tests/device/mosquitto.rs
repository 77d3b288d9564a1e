//! A real mosquitto for the server to run on.

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;

/// A mosquitto of this test's own, on a free port.
pub(crate) struct Mosquitto {
    _process: Process,
    _folder: TempDir,
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
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let config = folder.path().join("mosquitto.conf");
            // It keeps the test's user, so that it may read the test's files.
            let text = format!("user root\nlistener {port} 127.0.0.1\n{lines}\n");
            std::fs::write(&config, text).unwrap();
            let mut mosquitto = Command::new("/usr/sbin/mosquitto");
            mosquitto.arg("-c").arg(&config).envs(environment.iter().copied());
            mosquitto.stdout(Stdio::null()).stderr(Stdio::null());
            let mut process = Process::spawn(&mut mosquitto);
            while process.is_running() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { _process: process, _folder: folder, port };
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            // Somebody else took the port in between: take another.
        }
        panic!(
            "mosquitto does not start: is it installed (script/bootstrap), are its lines right?"
        );
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The same by name, as a certificate has it.
    pub(crate) fn named_address(&self) -> String {
        format!("localhost:{}", self.port)
    }
}
