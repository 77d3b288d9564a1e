//! Servers to test against: a real mosquitto, and one that a test plays itself.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

mod free_port;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use latchlight_client::{Backoff, ClientOptions, Connection, Event, Events};
use latchlight_mqtt::{ConnAck, Connect, Packet, ProtocolVersion, ReasonCode};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use free_port::free_port;

/// Longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A mosquitto of this test's own, on a free port.
pub struct Mosquitto {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Mosquitto {
    /// Starts one that lets everybody in.
    pub async fn start() -> Self {
        Self::start_with("allow_anonymous true\n").await
    }

    /// Starts one with these lines in its configuration.
    pub async fn start_with(lines: &str) -> Self {
        for _ in 0..5 {
            let folder = TempDir::new().unwrap();
            let port = free_port();
            let config = format!("user root\nlistener {port} 127.0.0.1\nlog_dest none\n{lines}");
            std::fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
            let mut mosquitto = Self { child: spawn(&folder), port, folder };
            if mosquitto.listens().await {
                return mosquitto;
            }
            // Somebody else took the port in between: take another.
        }
        panic!("mosquitto does not start with {lines}");
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port.
    pub async fn start_again(&mut self) {
        self.child = spawn(&self.folder);
        assert!(self.listens().await, "mosquitto did not start again");
    }

    async fn listens(&mut self) -> bool {
        while TcpStream::connect(self.address()).await.is_err() {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            sleep(Duration::from_millis(5)).await;
        }
        true
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &TempDir) -> Child {
    let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())
        .unwrap_or("mosquitto");
    Command::new(program)
        .arg("-c")
        .arg(folder.path().join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto is needed: run script/bootstrap")
}

/// The server's end of a connection that a test plays itself.
pub struct PlayedServer {
    listener: TcpListener,
}

impl PlayedServer {
    pub async fn bind() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// Accepts a connection and its CONNECT.
    pub async fn accept(&self) -> (Connection, Connect) {
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.unwrap().unwrap();
        let mut connection = Connection::from_stream(stream, ProtocolVersion::V5);
        match connection.receive_within(PATIENCE).await.unwrap() {
            Packet::Connect(connect) => {
                // What follows is in the client's version, as it would be after our CONNECT.
                connection.set_version(connect.version);
                (connection, *connect)
            }
            other => panic!("expected CONNECT, received {other:?}"),
        }
    }

    /// Accepts a connection and lets it in.
    pub async fn welcome(&self, session_present: bool) -> (Connection, Connect) {
        self.welcome_with(session_present, |_| {}).await
    }

    /// Accepts a connection and lets it in with a CONNACK of the test's making.
    pub async fn welcome_with(
        &self,
        session_present: bool,
        change: impl FnOnce(&mut ConnAck),
    ) -> (Connection, Connect) {
        let (mut connection, connect) = self.accept().await;
        let mut connack = ConnAck {
            session_present,
            reason: ReasonCode::Success,
            properties: Default::default(),
        };
        change(&mut connack);
        connection.send(&Packet::ConnAck(Box::new(connack))).await.unwrap();
        (connection, connect)
    }
}

/// Options that do not make a test wait.
pub fn options(address: String, client_id: &str) -> ClientOptions {
    let mut options = ClientOptions::new(address, client_id.to_owned());
    options.backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(100));
    options
}

/// The next event.
pub async fn next(events: &mut Events) -> Event {
    timeout(PATIENCE, events.next()).await.expect("an event comes").expect("the client runs")
}

/// Passes over the events until the client is connected.
pub async fn connected(events: &mut Events) -> ConnAck {
    loop {
        if let Event::Connected(connack) = next(events).await {
            return *connack;
        }
    }
}

/// The next message, as topic and payload.
pub async fn message(events: &mut Events) -> (String, String) {
    let message = timeout(PATIENCE, events.next_message()).await.expect("a message comes").unwrap();
    (message.topic.to_string(), String::from_utf8(message.payload.to_vec()).unwrap())
}
