//! A broker that may open no more files goes on when it may again. Alone in
//! its program: the limit holds for all of it.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::File;
use std::net::TcpStream;

use latchlight_mqtt::{Connect, Packet, ProtocolVersion::V5};
use rustix::process::{Resource, getrlimit, setrlimit};
use support::{Client, TestBroker};

#[test]
fn accepting_survives_that_there_are_too_many_open_files() {
    let broker = TestBroker::start();
    let mut bystander = Client::connect(broker.address(), V5, "bystander");
    let before = getrlimit(Resource::Nofile);
    let mut low = before;
    low.current = Some(256);
    setrlimit(Resource::Nofile, low).unwrap();

    let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // One is left: for the client's end, not for the broker's.
    files.pop();
    let stream = TcpStream::connect(broker.address()).unwrap();
    let mut waiting = Client::over(stream, V5);
    waiting.send(Packet::Connect(Box::new(Connect::new(V5, "waiting"))));
    for _ in 0..20 {
        bystander.expect_nothing();
    }
    assert_eq!(broker.counters().connections, 1);
    drop(files);
    assert!(matches!(waiting.next(), Packet::ConnAck(_)));
    Client::connect(broker.address(), V5, "next").disconnect();
}
