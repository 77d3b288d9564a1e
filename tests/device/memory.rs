//! The server takes what it needs, and what many clients took is given back to
//! the system when they have left.
#![cfg(target_os = "linux")]

use std::time::Duration;

use latchlight_mqtt::{Connect, Packet, ProtocolVersion, QoS};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{Device, PATIENCE, Server, open_house};

/// As many as the system lets the server have, up to this.
const CLIENTS: usize = 5_000;

/// What is published to each, and waits for it.
const PAYLOAD: usize = 1000;
const MESSAGES: usize = 4;

/// For how many clients messages are published at once.
const AT_ONCE: usize = 50;

/// One of them is 2 MiB for whatever little is in it; those that the allocator
/// takes before `main` would stay.
#[tokio::test]
async fn no_memory_is_in_huge_pages() {
    let server = Server::start();
    assert_eq!(server.in_huge_pages(), 0);
}

/// Half of them have sessions that outlive their connections for a second.
/// More than nine tenths come back on a quiet machine (docs/adr/0001).
#[tokio::test]
async fn after_a_mass_disconnect_most_of_it_comes_back() {
    // Half of the server's files are for devices, and other tests have theirs.
    let clients = CLIENTS.min(open_files() / 4);
    let server = Server::start_with(open_house_without_a_store());
    // What the program has for its own, after the first few.
    come_and_go(&server, 200).await;
    let before = server.resident();
    let most = come_and_go(&server, clients).await;
    let taken = most - before;
    let left_over = || server.resident().saturating_sub(before);
    // The system tells nobody when it has got memory back.
    let end = Instant::now() + PATIENCE;
    while left_over() > taken / 2 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let left_over = left_over();
    println!("{clients} clients: {before} KiB before, {taken} more with them, {left_over} after");
    assert!(left_over <= taken / 2, "{taken} KiB were taken, {left_over} are left");
}

/// So many connect, listen to two topics of their own, have
/// messages waiting, and are gone; gives what the server had with all of them.
async fn come_and_go(server: &Server, count: usize) -> u64 {
    let mut devices = Vec::new();
    for number in 0..count {
        let mut connect = Connect::new(ProtocolVersion::V5, format!("client-{number}"));
        let properties = connect.properties.make_mut();
        properties.receive_maximum = Some(1);
        properties.session_expiry_interval = Some((number % 2) as u32);
        let mut device = Device::connect(server.mqtt(), connect).await;
        device.connection.set_auto_acknowledge(false);
        device.subscribe(&format!("{}/more", topic(number)), QoS::AtLeastOnce).await;
        device.subscribe(&topic(number), QoS::AtLeastOnce).await;
        devices.push(device);
    }
    let publisher = Connect::new(ProtocolVersion::V5, "publisher");
    let mut publisher = Device::connect(server.mqtt(), publisher).await;
    let numbers: Vec<usize> = (0..count).collect();
    for some in numbers.chunks(AT_ONCE) {
        let message = |number: &usize| (topic(*number), vec![b'x'; PAYLOAD].into());
        let numbers = some.iter().flat_map(|number| [number; MESSAGES]);
        publisher.publish_at_once(numbers.map(message).collect()).await;
        for _ in 0..some.len() * MESSAGES {
            match publisher.connection.receive_within(PATIENCE).await.unwrap() {
                Packet::PubAck(ack) => assert!(!ack.reason.is_error(), "{:?}", ack.reason),
                other => panic!("expected PUBACK, received {other:?}"),
            }
        }
    }
    let most = server.resident();
    drop(devices);
    drop(publisher);
    until_all_are_gone(server).await;
    most
}

fn open_house_without_a_store() -> serde_json::Value {
    let mut settings = open_house();
    settings["mqtt"]["store"] = json!(false);
    settings
}

fn topic(number: usize) -> String {
    format!("clients/{number}")
}

async fn until_all_are_gone(server: &Server) {
    let end = Instant::now() + PATIENCE;
    loop {
        let (_, metrics) = server.bytes("/metrics").await;
        let metrics = String::from_utf8(metrics.to_vec()).unwrap();
        let none = |what: &str| metrics.lines().any(|line| line == format!("mqtt_{what} 0"));
        if none("connections") && none("sessions") {
            return;
        }
        assert!(Instant::now() < end, "they do not go:\n{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How many files this program, and the server that it starts, may have open:
/// as many as the system lets them.
fn open_files() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    limit.current.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)
}
