//! Clients that others have written: mosquitto_pub and mosquitto_sub.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use support::TestBroker;

const VERSIONS: [&str; 3] = ["mqttv31", "mqttv311", "mqttv5"];

#[test]
fn they_publish_and_subscribe_in_every_version_and_qos() {
    let broker = TestBroker::start();
    for from in VERSIONS {
        for to in VERSIONS {
            for qos in ["0", "1", "2"] {
                let mut subscriber = subscribe(&broker, &["-V", to, "-q", qos, "-t", "door/+"]);
                let count = broker.counters().subscriptions;
                assert_eq!(count, 1);
                publish(&broker, &["-V", from, "-q", qos, "-t", "door/front", "-m", "locked"]);
                assert_eq!(subscriber.line(), "door/front locked");
                subscriber.end();
                broker.until("it is gone", |broker| broker.counters().connections == 0);
            }
        }
    }
}

#[test]
fn they_get_retained_messages_wills_and_what_waited() {
    let broker = TestBroker::start();
    publish(&broker, &["-r", "-q", "1", "-t", "door/front", "-m", "locked"]);
    let mut subscriber = subscribe(
        &broker,
        &["-V", "mqttv5", "-c", "-i", "reader", "-x", "600", "-q", "1", "-t", "door/#"],
    );
    assert_eq!(subscriber.line(), "door/front locked");
    let mut dying = subscribe(
        &broker,
        &["-t", "x", "--will-topic", "door/will", "--will-payload", "gone", "--will-qos", "1"],
    );
    dying.end();
    assert_eq!(subscriber.line(), "door/will gone");
    subscriber.end();
    broker.until("it is gone", |broker| broker.counters().connections == 0);
    publish(&broker, &["-q", "1", "-t", "door/back", "-m", "waited"]);
    let mut subscriber = run(
        &broker,
        "mosquitto_sub",
        &["-V", "mqttv5", "-c", "-i", "reader", "-x", "600", "-q", "1", "-t", "door/back", "-v"],
    );
    assert_eq!(subscriber.line(), "door/back waited");
    subscriber.end();
}

struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Ends it without a goodbye.
    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(broker: &TestBroker, program: &str, arguments: &[&str]) -> Running {
    let port = broker.address().port().to_string();
    let mut child = Command::new(program)
        .args(["-h", "127.0.0.1", "-p", &port])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("mosquitto's clients are needed: run script/bootstrap");
    let lines = BufReader::new(child.stdout.take().unwrap());
    Running { child, lines }
}

/// Starts a subscriber, and waits until it is subscribed.
fn subscribe(broker: &TestBroker, arguments: &[&str]) -> Running {
    let before = broker.counters().subscriptions;
    let running = run(broker, "mosquitto_sub", &[arguments, &["-v"]].concat());
    broker.until("it is subscribed", |broker| broker.counters().subscriptions > before);
    running
}

fn publish(broker: &TestBroker, arguments: &[&str]) {
    let status = run(broker, "mosquitto_pub", arguments).child.wait().unwrap();
    assert!(status.success());
}
