//! Clients that others have written: each connects, publishes and subscribes
//! at every QoS, gets what is kept, wills, its part of a shared subscription,
//! and what waited for its session; in every version that it speaks, over every
//! transport that it has: README.md has the table. script/bootstrap installs
//! them.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod mosquitto;
mod paho_mqtt;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use latchlight_broker::{Listener, WebSocket};
use support::{Authority, TestBroker, tls};

/// What each program says that it has done.
const STEPS: &str = "connect\nqos 0\nqos 1\nqos 2\nretained\nwill\nshared\nsession\ndisconnect\n";

const EVERY: [&str; 4] = ["mqtt", "mqtts", "ws", "wss"];

/// A broker that listens in every way.
struct Meeting {
    broker: TestBroker,
    authority: Authority,
    /// Scheme and port.
    ports: Vec<(&'static str, u16)>,
}

impl Meeting {
    fn new() -> Self {
        let (broker, authority) = (TestBroker::start(), Authority::new());
        let tls = tls(authority.server());
        let local = || Listener::tcp(TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = [
            ("mqtt", local()),
            ("mqtts", local().tls(&tls)),
            ("ws", local().websocket(WebSocket::new())),
            ("wss", local().websocket(WebSocket::new()).tls(&tls)),
        ]
        .map(|(scheme, listener)| {
            let info = broker.add_listener(listener).unwrap();
            (scheme, info.address.socket().unwrap().port())
        });
        Self { broker, authority, ports: ports.into() }
    }

    fn port(&self, scheme: &str) -> u16 {
        self.ports.iter().find(|(known, _)| *known == scheme).unwrap().1
    }

    /// Lets a program do all that it can at a broker that knows nothing yet.
    fn run(mut program: Command, scheme: &str, version: &str) {
        let meeting = Self::new();
        let port = meeting.port(scheme);
        // The name is part of the certificate.
        program.arg(format!("{scheme}://localhost:{port}/mqtt")).arg(version);
        if ["mqtts", "wss"].contains(&scheme) {
            program.arg(meeting.authority.file("ca.pem"));
        }
        let output = program.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said, STEPS, "{scheme}, version {version}: {errors}");
        assert!(output.status.success(), "{scheme}, version {version}: {errors}");
        meeting.broker.until("all are gone", |broker| broker.counters().connections == 0);
    }
}

/// `var` of the workspace, where script/bootstrap puts them.
fn var(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../var").join(path);
    assert!(path.exists(), "{} is needed: run script/bootstrap", path.display());
    path
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real_clients").join(name)
}

fn python(name: &str) -> Command {
    let mut command = Command::new(var("venv/bin/python"));
    command.arg(script(name));
    command
}

#[test]
fn pythons_paho_mqtt() {
    for version in ["3", "4", "5"] {
        for scheme in EVERY {
            Meeting::run(python("with_paho.py"), scheme, version);
        }
    }
}

/// It has no WebSocket.
#[test]
fn gmqtt() {
    for version in ["4", "5"] {
        for scheme in ["mqtt", "mqtts"] {
            Meeting::run(python("with_gmqtt.py"), scheme, version);
        }
    }
}

/// In 3.1 it asks WebSocket for a subprotocol of before the standards.
#[test]
fn mqtt_js() {
    for (version, schemes) in [("3", &EVERY[..2]), ("4", &EVERY), ("5", &EVERY)] {
        for scheme in schemes {
            let mut node = Command::new("node");
            node.current_dir(var("node")).arg(script("with_mqttjs.mjs"));
            Meeting::run(node, scheme, version);
        }
    }
}
