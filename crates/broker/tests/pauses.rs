//! Publishers that wait for readers which are publishers themselves. Nobody is
//! ever taken for stalled here: who waits in vain waits for good.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use latchlight_broker::Options;
use latchlight_mqtt::{Connect, Packet, PacketId, ProtocolVersion, Publish, QoS, ReasonCode};
use support::{Client, TestBroker};

use ProtocolVersion::V5;
use QoS::AtLeastOnce;

/// More than half of what may wait for one client, and less than all.
const MESSAGES: usize = 30;

#[test]
fn a_client_does_not_wait_for_its_own_acknowledgements() {
    let broker = patient_broker();
    let mut client = connect(broker.address(), "client");
    client.subscribe("a", AtLeastOnce);
    publish_all(&mut client, "a");
    // What is behind them is read: a ping here, acknowledgements later.
    client.send(Packet::PingReq);
    let mut before = 0;
    while client.next() != Packet::PingResp {
        before += 1;
    }
    assert_eq!(before, MESSAGES + 1, "all are taken, and one is sent");
    // That one has the first id.
    client.puback(PacketId::new(1).unwrap());
    for _ in 1..MESSAGES {
        let received = client.next_publish();
        client.acknowledge(&received);
    }
    assert_eq!(broker.counters().dropped_queue_full, 0);
}

#[test]
fn two_clients_that_publish_to_each_other_do_not_wait_for_each_other() {
    meet_in_a_ring(2);
}

#[test]
fn nor_do_three_that_publish_to_the_next() {
    meet_in_a_ring(3);
}

/// Each publishes to the next one before anybody acknowledges anything.
fn meet_in_a_ring(size: usize) {
    let broker = patient_broker();
    let mut clients: Vec<_> = (0..size)
        .map(|number| {
            let mut client = connect(broker.address(), &number.to_string());
            client.subscribe(&number.to_string(), AtLeastOnce);
            client
        })
        .collect();
    for (number, client) in clients.iter_mut().enumerate() {
        publish_all(client, &((number + 1) % size).to_string());
    }
    broker.until("all are taken", |broker| {
        broker.counters().received.messages.iter().sum::<u64>() >= (size * MESSAGES) as u64
    });
    let ends: Vec<_> = clients
        .into_iter()
        .map(|client| std::thread::spawn(move || acknowledge_all(client)))
        .collect();
    for end in ends {
        end.join().unwrap();
    }
    assert_eq!(broker.counters().dropped_queue_full, 0);
}

/// A client that waits for another is waited for, where it can catch up
/// without those who wait.
#[test]
fn a_publisher_waits_for_a_reader_that_waits_for_a_third() {
    const LARGE: usize = 2_000;
    let broker = patient_broker();
    let [mut first, mut second, mut third] =
        ["first", "second", "third"].map(|name| connect(broker.address(), name));
    second.subscribe("second", AtLeastOnce);
    third.subscribe("third", AtLeastOnce);
    publish_all(&mut second, "third");
    broker.until("the second one is read", |broker| {
        broker.counters().received.messages[1] == MESSAGES as u64
    });
    // Far more than may wait for the second one.
    let publishing = std::thread::spawn(move || {
        for _ in 0..LARGE {
            let packet_id = Some(first.next_id());
            let publish = Publish::new("second", vec![0; 4096]);
            first.send(Packet::Publish(Publish { qos: AtLeastOnce, packet_id, ..publish }));
        }
        for _ in 0..LARGE {
            assert!(matches!(first.next(), Packet::PubAck(_)));
        }
    });
    let reading = std::thread::spawn(move || {
        for _ in 0..MESSAGES {
            let received = third.next_publish();
            third.acknowledge(&received);
        }
    });
    let mut received = 0;
    while received < LARGE {
        if let Packet::Publish(publish) = second.next() {
            second.acknowledge(&publish);
            received += 1;
        }
    }
    publishing.join().unwrap();
    reading.join().unwrap();
    assert_eq!(broker.counters().dropped_queue_full, 0);
}

fn patient_broker() -> TestBroker {
    TestBroker::with_options(Options {
        max_queued_messages: 2 * MESSAGES - 10,
        stalled_after: Duration::from_secs(3600),
        max_pause: Duration::from_secs(3600),
        ..Options::default()
    })
}

/// A client that takes one message at a time.
fn connect(address: SocketAddr, client_id: &str) -> Client {
    let mut connect = Connect::new(V5, client_id);
    connect.properties.make_mut().receive_maximum = Some(1);
    Client::connect_with(address, connect).0
}

/// Sends them with one write, and waits for nothing.
fn publish_all(client: &mut Client, topic: &str) {
    let mut bytes = Vec::new();
    for _ in 0..MESSAGES {
        let packet_id = Some(client.next_id());
        let publish = Publish { qos: AtLeastOnce, packet_id, ..Publish::new(topic, "x") };
        Packet::Publish(publish).encode(V5, &mut bytes).unwrap();
    }
    client.send_bytes(&bytes);
}

/// Acknowledges what comes, until that is all, and all of its own is taken.
fn acknowledge_all(mut client: Client) {
    for _ in 0..2 * MESSAGES {
        match client.next() {
            Packet::Publish(publish) => client.acknowledge(&publish),
            Packet::PubAck(ack) => assert_eq!(ack.reason, ReasonCode::Success),
            other => panic!("unexpected {other:?}"),
        }
    }
}
