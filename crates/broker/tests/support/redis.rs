//! A Redis server.

#[path = "../../../client/tests/support/free_port.rs"]
mod free_port;

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use latchlight_broker::RedisStore;
use tempfile::TempDir;

use super::PATIENCE;
use free_port::free_port;

/// A server of the test's own, with its files.
pub struct Redis {
    child: Child,
    pub port: u16,
    pub folder: TempDir,
}

impl Redis {
    pub fn start() -> Self {
        let port = free_port();
        let folder = TempDir::new().unwrap();
        Self { child: serve(port, &folder), port, folder }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn store(&self) -> RedisStore {
        RedisStore::connect(&self.url(), "test").unwrap()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on what it has left.
    pub fn restart(&mut self) {
        self.child = serve(self.port, &self.folder);
    }

    pub fn signal(&self, signal: &str) {
        let arguments = ["-s", signal, &self.child.id().to_string()];
        assert!(Command::new("kill").args(arguments).status().unwrap().success());
    }

    pub fn say(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a server, and waits until it answers.
fn serve(port: u16, folder: &TempDir) -> Child {
    let mut child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(folder.path())
        .args(["--unixsocket", "socket"])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is needed: run script/bootstrap");
    let end = Instant::now() + PATIENCE;
    // It listens on its port first, and on its socket file last.
    let socket = folder.path().join("socket");
    while TcpStream::connect(("127.0.0.1", port)).is_err() || UnixStream::connect(&socket).is_err()
    {
        assert!(child.try_wait().unwrap().is_none(), "redis-server has ended");
        assert!(Instant::now() < end, "redis-server does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}
