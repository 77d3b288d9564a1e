//! mosquitto_pub and mosquitto_sub: over TCP and TLS; they have no WebSocket.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::Meeting;

const VERSIONS: [&str; 3] = ["mqttv31", "mqttv311", "mqttv5"];

/// How to reach the broker by one of its listeners.
struct Way<'a> {
    meeting: &'a Meeting,
    scheme: &'static str,
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

impl Way<'_> {
    fn run(&self, program: &str, arguments: &[&str]) -> Running {
        let port = self.meeting.port(self.scheme).to_string();
        let mut command = Command::new(program);
        command.args(["-h", "localhost", "-p", &port]).args(arguments);
        if self.scheme == "mqtts" {
            command.arg("--cafile").arg(self.meeting.authority.file("ca.pem"));
        }
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("mosquitto's clients are needed: run script/bootstrap");
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines }
    }

    /// Starts a subscriber, and waits until it is subscribed.
    fn subscribe(&self, arguments: &[&str]) -> Running {
        let broker = &self.meeting.broker;
        let before = broker.counters().subscriptions;
        let running = self.run("mosquitto_sub", &[arguments, &["-v"]].concat());
        broker.until("it is subscribed", |broker| broker.counters().subscriptions > before);
        running
    }

    fn publish(&self, arguments: &[&str]) {
        assert!(self.run("mosquitto_pub", arguments).child.wait().unwrap().success());
    }

    /// Waits until so many are connected.
    fn until_connected(&self, count: u64) {
        let is_so = |broker: &latchlight_broker::Broker| broker.counters().connections == count;
        self.meeting.broker.until("they are gone", is_so);
    }
}

#[test]
fn mosquittos_clients() {
    for scheme in ["mqtt", "mqtts"] {
        let meeting = Meeting::new();
        let way = Way { meeting: &meeting, scheme };
        every_qos(&way);
        for version in VERSIONS {
            retained_and_will(&way, version);
            shared(&way, version);
            session(&way, version);
        }
    }
}

fn every_qos(way: &Way<'_>) {
    for from in VERSIONS {
        for to in VERSIONS {
            let mut subscriber = way.subscribe(&["-V", to, "-q", "2", "-t", "door/+"]);
            for qos in ["0", "1", "2"] {
                way.publish(&["-V", from, "-q", qos, "-t", "door/front", "-m", qos]);
                assert_eq!(subscriber.line(), format!("door/front {qos}"));
            }
            subscriber.end();
            way.until_connected(0);
        }
    }
}

fn retained_and_will(way: &Way<'_>, version: &str) {
    way.publish(&["-V", version, "-r", "-q", "1", "-t", "door/front", "-m", "locked"]);
    let mut subscriber = way.subscribe(&["-V", version, "-q", "1", "-t", "door/#"]);
    assert_eq!(subscriber.line(), "door/front locked");
    let will = ["--will-topic", "door/will", "--will-payload", "gone", "--will-qos", "1"];
    let mut dying = way.subscribe(&[&["-V", version, "-t", "x"], &will[..]].concat());
    dying.end();
    assert_eq!(subscriber.line(), "door/will gone");
    way.publish(&["-V", version, "-r", "-n", "-t", "door/front"]);
    subscriber.end();
    way.until_connected(0);
}

fn shared(way: &Way<'_>, version: &str) {
    let member = ["-V", version, "-q", "1", "-t", "$share/all/door"];
    let mut members = [way.subscribe(&member), way.subscribe(&member)];
    for number in ["1", "2", "3", "4"] {
        way.publish(&["-V", version, "-q", "1", "-t", "door", "-m", number]);
    }
    let mut said: Vec<_> =
        members.iter_mut().flat_map(|member| [member.line(), member.line()]).collect();
    said.sort();
    assert_eq!(said, ["door 1", "door 2", "door 3", "door 4"]);
    members.iter_mut().for_each(Running::end);
    way.until_connected(0);
}

fn session(way: &Way<'_>, version: &str) {
    let mut keeps = vec!["-V", version, "-c", "-i", version, "-q", "2", "-t", "back/#", "-v"];
    if version == "mqttv5" {
        keeps.extend(["-x", "600"]);
    }
    way.subscribe(&keeps).end();
    way.until_connected(0);
    for qos in ["1", "2"] {
        way.publish(&["-V", version, "-q", qos, "-t", "back/door", "-m", qos]);
    }
    let mut subscriber = way.run("mosquitto_sub", &keeps);
    assert_eq!([subscriber.line(), subscriber.line()], ["back/door 1", "back/door 2"]);
    subscriber.end();
    way.until_connected(0);
}
