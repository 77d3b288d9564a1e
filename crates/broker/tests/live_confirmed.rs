//! Live publishes that somebody confirmed: whoever that was, they do not
//! arrive after their deadline (C3).
#![allow(clippy::unwrap_used)]

mod support;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use latchlight_broker::{InlinePublish, LivePublish, LiveStatus, Options, QoS};
use latchlight_mqtt::{Connect, Disconnect, Packet, ProtocolVersion, Publish, ReasonCode};
use socket2::{Domain, Socket, Type};
use support::{Client, TestBroker};

use LiveStatus::Sent;
use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce};

/// Longer than a test takes.
const LONG: Duration = Duration::from_secs(600);
/// So short that a test can wait for its end, and long enough for what comes
/// before that on a busy machine.
const SHORT: Duration = Duration::from_secs(2);

/// What the system's buffers take, and what waits in the broker.
const NOISE: [usize; 2] = [128 * 1024, 16 * 1024 * 1024];

#[test]
fn who_has_taken_it_keeps_its_connection() {
    let broker = TestBroker::start();
    for granted in [AtMostOnce, AtLeastOnce] {
        let mut lock = Client::connect(broker.address(), V5, "lock");
        lock.subscribe("lock/down", granted);
        let mut live = confirmed(&broker, SHORT);
        let received = lock.next_publish();
        lock.acknowledge(&received);
        past_the_deadline();
        lock.expect_nothing();
        lock.disconnect();
        assert!(broker.wait(live.next()).is_none());
    }
    assert_eq!(broker.counters().live_resets, 0);
}

/// At QoS 1 the PUBACK counts: that its system has it is not enough.
#[test]
fn at_qos_1_who_does_not_acknowledge_it_is_cut_off() {
    let broker = TestBroker::start();
    let mut lock = Client::connect(broker.address(), V5, "lock");
    lock.subscribe("lock/down", AtLeastOnce);
    confirmed(&broker, SHORT);
    lock.next_publish();
    lock.expect_closed();
    assert_eq!(broker.counters().live_resets, 1);
}

/// The network is gone, and another client said a word in the lock's name.
#[test]
fn what_is_on_its_way_does_not_arrive_after_the_deadline() {
    for granted in [AtMostOnce, AtLeastOnce] {
        for noise in NOISE {
            let broker = with_room_for_noise();
            let mut lock = deaf(broker.address());
            lock.subscribe("lock/down", granted);
            lock.subscribe("noise", AtMostOnce);
            make_noise(&broker, noise);
            confirmed(&broker, SHORT);
            broker.until("the reset", |broker| broker.counters().live_resets == 1);
            broker.until("the end", |broker| !is_there(broker, "lock"));
            hears_noise_alone(&mut lock);
        }
    }
}

/// Nor if its connection ends before that in another way.
#[test]
fn what_is_on_its_way_does_not_arrive_when_the_connection_ends() {
    for granted in [AtMostOnce, AtLeastOnce] {
        for by_takeover in [true, false] {
            let broker = with_room_for_noise();
            let mut lock = deaf(broker.address());
            lock.subscribe("lock/down", granted);
            lock.subscribe("noise", AtMostOnce);
            make_noise(&broker, NOISE[0]);
            confirmed(&broker, LONG);
            let newer = by_takeover.then(|| Client::connect(broker.address(), V5, "lock"));
            if newer.is_none() {
                lock.send(Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
            }
            let left = u64::from(by_takeover);
            broker.until("the end", |broker| broker.counters().connections == left);
            hears_noise_alone(&mut lock);
        }
    }
}

/// What its system has taken is beyond the reach of a reset; what came after
/// it does not matter.
#[test]
fn at_qos_0_what_the_receivers_system_has_is_left_alone() {
    let broker = with_room_for_noise();
    let mut lock = deaf(broker.address());
    lock.subscribe("lock/down", AtMostOnce);
    lock.subscribe("noise", AtMostOnce);
    confirmed(&broker, SHORT);
    make_noise(&broker, NOISE[1]);
    past_the_deadline();
    assert_eq!(lock.next_publish().payload, "unlock");
    lock.drain();
    assert_eq!(broker.counters().live_resets, 0);
}

/// A lock whose system takes next to nothing for it.
fn deaf(address: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    let client = Client::over(TcpStream::from(socket), V5);
    client.say_connect(Connect::new(V5, "lock")).0
}

fn with_room_for_noise() -> TestBroker {
    TestBroker::with_options(Options { high_water: 64 * 1024 * 1024, ..Options::default() })
}

fn make_noise(broker: &TestBroker, bytes: usize) {
    const PIECE: usize = 64 * 1024;
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for _ in 0..bytes / PIECE {
        publisher.publish_packet(Publish::new("noise", vec![0; PIECE]));
    }
    publisher.disconnect();
    broker.until("the publisher is gone", |broker| !is_there(broker, "publisher"));
}

fn is_there(broker: &latchlight_broker::Broker, client: &str) -> bool {
    broker.clients().iter().any(|known| &*known.client_id == client)
}

/// A live publish that somebody confirms at once.
fn confirmed(broker: &TestBroker, lifetime: Duration) -> LivePublish {
    let publish = InlinePublish::new("lock/down".try_into().unwrap(), "unlock");
    let mut live = broker.inline().publish_live(publish, lifetime);
    assert_eq!(broker.wait(live.next()).map(|event| event.what), Some(Sent));
    live.receipt().confirm();
    assert!(broker.wait(live.next()).is_none());
    live
}

/// Nothing is told of a deadline at which nothing happens.
fn past_the_deadline() {
    std::thread::sleep(SHORT + Duration::from_millis(200));
}

/// It reads at last, until the end.
fn hears_noise_alone(lock: &mut Client) {
    while let Some(packet) = lock.try_next_of_broken() {
        let Packet::Publish(publish) = packet else { panic!("unexpected {packet:?}") };
        assert_eq!(publish.topic, "noise");
    }
}
