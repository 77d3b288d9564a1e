//! Live publishes: what a lock is told, and what it is never told (C2, C3).
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use latchlight_broker::{
    InlinePublish, LivePublish, LiveStatus, Options, QoS, ReasonCode, SubscriptionOptions,
};
use latchlight_mqtt::{Connect, Packet, ProtocolVersion, PubAck, Publish};
use support::{Client, TestBroker, VERSIONS};

use LiveStatus::{Delivered, Expired, Lost, NotSent, Sent};
use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// Longer than a test takes.
const LONG: Duration = Duration::from_secs(600);
/// So short that a test can wait for its end, and long enough for what comes
/// before that on a busy machine.
const SHORT: Duration = Duration::from_secs(3);

#[test]
fn a_connected_subscriber_gets_it_and_its_acknowledgement_is_told() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let mut lock = Client::connect(broker.address(), version, "lock");
        lock.subscribe("lock/down", AtLeastOnce);
        let mut live = publish(&broker, LONG);
        assert_eq!(live.receivers().len(), 1);
        assert_eq!(&*live.receivers()[0].client_id, "lock");
        assert_eq!(next(&broker, &mut live), Some(Sent));
        let received = lock.next_publish();
        assert_eq!(received.payload, "unlock");
        // C2
        assert!(!received.retain && !received.dup);
        if version == V5 {
            assert_eq!(received.properties.message_expiry_interval, Some(600));
        }
        lock.acknowledge(&received);
        assert_eq!(next(&broker, &mut live), Some(Delivered));
        assert_eq!(next(&broker, &mut live), None);
        lock.disconnect();
    }
    assert_eq!(broker.counters().live_resets, 0);
}

#[test]
fn each_receiver_has_its_own_outcome() {
    let broker = TestBroker::start();
    let mut one = Client::connect(broker.address(), V5, "one");
    let mut two = Client::connect(broker.address(), V311, "two");
    one.subscribe("lock/+", AtLeastOnce);
    two.subscribe("#", AtLeastOnce);
    let mut live = publish(&broker, LONG);
    assert_eq!(live.receivers().len(), 2);
    let received = one.next_publish();
    one.acknowledge(&received);
    two.next_publish();
    two.vanish();
    let mut seen = Vec::new();
    while let Some(event) = broker.wait(live.next()) {
        seen.push((event.client.client_id.to_string(), event.what));
    }
    seen.retain(|(_, what)| *what != Sent);
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(seen, [("one".to_owned(), Delivered), ("two".to_owned(), Lost)]);
}

#[test]
fn nobody_gets_it_who_is_not_connected_and_subscribed_now() {
    let broker = TestBroker::start();
    let mut lock = durable(&broker, V5, 10);
    lock.subscribe("lock/down", AtLeastOnce);
    lock.disconnect();
    let mut other = Client::connect(broker.address(), V5, "other");
    other.subscribe("other/down", AtLeastOnce);
    other.subscribe("$share/group/lock/down", AtLeastOnce);
    broker.until("the lock is gone", |broker| broker.clients().len() == 1);
    let mut live = publish(&broker, LONG);
    assert!(live.receivers().is_empty());
    assert_eq!(next(&broker, &mut live), None);
    other.expect_nothing();
    // C3: also not when it comes back with its session, or subscribes anew.
    let mut lock = durable(&broker, V5, 10);
    lock.expect_nothing();
    lock.subscribe("lock/down", AtLeastOnce);
    lock.expect_nothing();
}

#[test]
fn it_is_not_sent_again_to_a_session_that_comes_back() {
    let broker = TestBroker::start();
    for version in [V311, V5] {
        for qos in [AtLeastOnce, ExactlyOnce] {
            let mut lock = durable(&broker, version, 10);
            lock.subscribe("lock/down", qos);
            let mut live = publish(&broker, LONG);
            lock.next_publish();
            lock.vanish();
            assert_eq!(next(&broker, &mut live), Some(Sent));
            assert_eq!(next(&broker, &mut live), Some(Lost));
            let mut lock = durable(&broker, version, 10);
            lock.expect_nothing();
            // Its packet id is free, and a late acknowledgement of it harmless.
            lock.puback(latchlight_mqtt::PacketId::MIN);
            lock.expect_nothing();
            lock.disconnect();
            Client::connect(broker.address(), version, "lock").disconnect();
        }
    }
}

#[test]
fn who_does_not_acknowledge_in_time_is_reset_before_that_is_told() {
    let broker = TestBroker::start();
    for (version, granted) in [(V5, AtLeastOnce), (V311, AtLeastOnce), (V5, AtMostOnce)] {
        let mut lock = durable(&broker, version, 10);
        lock.subscribe("lock/down", granted);
        let since = Instant::now();
        let mut live = publish(&broker, SHORT);
        assert_eq!(next(&broker, &mut live), Some(Sent));
        lock.next_publish();
        assert_eq!(next(&broker, &mut live), Some(Lost));
        let took = since.elapsed();
        // The broker's clock counts whole milliseconds.
        assert!(took + Duration::from_millis(1) >= SHORT, "{took:?}");
        // It is over already: nothing more can arrive.
        lock.stream().set_nonblocking(true).unwrap();
        let mut byte = [0];
        let error = std::io::Read::read(&mut lock.stream(), &mut byte).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        let mut lock = durable(&broker, version, 10);
        lock.expect_nothing();
        lock.disconnect();
        Client::connect(broker.address(), version, "lock").disconnect();
    }
    assert_eq!(broker.counters().live_resets, 3);
}

/// C3: each is cut off at its own deadline, whatever others are on their way.
#[test]
fn a_shorter_life_that_begins_later_ends_first() {
    let broker = TestBroker::start();
    let mut patient = Client::connect(broker.address(), V5, "patient");
    patient.subscribe("lock/down", AtLeastOnce);
    let mut long = publish(&broker, LONG);
    let received = patient.next_publish();
    patient.unsubscribe("lock/down");
    for _ in 0..3 {
        let mut lock = Client::connect(broker.address(), V5, "lock");
        lock.subscribe("lock/down", AtLeastOnce);
        let since = Instant::now();
        let mut short = publish(&broker, SHORT);
        lock.next_publish();
        assert_eq!(next(&broker, &mut short), Some(Sent));
        assert_eq!(next(&broker, &mut short), Some(Lost));
        assert!(since.elapsed() + Duration::from_millis(1) >= SHORT);
    }
    assert_eq!(broker.counters().live_resets, 3);
    patient.acknowledge(&received);
    assert_eq!(next(&broker, &mut long), Some(Sent));
    assert_eq!(next(&broker, &mut long), Some(Delivered));
}

/// C3: the network was gone, the bytes wait in the send buffers of broker and
/// system; when it is back, they are not delivered.
#[test]
fn a_client_that_does_not_read_gets_nothing_after_the_deadline() {
    for (high_water, outcome) in [(64 * 1024 * 1024, Lost), (64 * 1024, Expired)] {
        let broker = TestBroker::with_options(Options { high_water, ..Options::default() });
        let mut lock = durable(&broker, V5, 10);
        lock.subscribe("lock/down", AtLeastOnce);
        lock.subscribe("noise", AtMostOnce);
        // More than the system's buffers take, so that the command waits behind it.
        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        for _ in 0..256 {
            publisher.publish_packet(Publish::new("noise", vec![0; 64 * 1024]));
        }
        let mut live = publish(&broker, SHORT);
        let mut last = None;
        while let Some(what) = next(&broker, &mut live) {
            last = Some(what);
        }
        assert_eq!(last, Some(outcome));
        // It reads at last: noise, and the end or the answer to its ping.
        let mut ping = Vec::new();
        Packet::PingReq.encode(V5, &mut ping).unwrap();
        lock.try_send_bytes(&ping);
        loop {
            match lock.try_next_of_broken() {
                Some(Packet::Publish(publish)) => assert_eq!(publish.topic, "noise"),
                Some(Packet::PingResp) => break assert_eq!(outcome, Expired),
                None => break assert_eq!(outcome, Lost),
                other => panic!("unexpected {other:?}"),
            }
        }
        durable(&broker, V5, 10).expect_nothing();
    }
}

#[test]
fn a_full_window_lets_it_wait_until_there_is_room() {
    let broker = TestBroker::start();
    let mut lock = durable(&broker, V5, 1);
    lock.subscribe("#", AtLeastOnce);
    Client::connect(broker.address(), V5, "publisher").publish("other", "first", AtLeastOnce);
    let first = lock.next_publish();
    let mut live = publish(&broker, LONG);
    lock.expect_nothing();
    lock.acknowledge(&first);
    let received = lock.next_publish();
    assert_eq!(received.payload, "unlock");
    lock.acknowledge(&received);
    assert_eq!(next(&broker, &mut live), Some(Sent));
    assert_eq!(next(&broker, &mut live), Some(Delivered));
}

#[test]
fn what_waits_for_room_until_its_deadline_has_never_left() {
    let broker = TestBroker::start();
    let mut lock = durable(&broker, V5, 1);
    lock.subscribe("#", AtLeastOnce);
    Client::connect(broker.address(), V5, "publisher").publish("other", "first", AtLeastOnce);
    let first = lock.next_publish();
    let mut live = publish(&broker, SHORT);
    assert_eq!(next(&broker, &mut live), Some(Expired));
    assert_eq!(next(&broker, &mut live), None);
    // The connection goes on; there was nothing to hold back.
    lock.acknowledge(&first);
    lock.expect_nothing();
    assert_eq!(broker.counters().live_resets, 0);
}

#[test]
fn what_waits_for_room_when_the_connection_ends_has_never_left() {
    let broker = TestBroker::start();
    let mut lock = durable(&broker, V5, 1);
    lock.subscribe("#", AtLeastOnce);
    Client::connect(broker.address(), V5, "publisher").publish("other", "first", AtLeastOnce);
    lock.next_publish();
    let mut live = publish(&broker, LONG);
    lock.vanish();
    assert_eq!(next(&broker, &mut live), Some(NotSent));
    let mut lock = durable(&broker, V5, 1);
    assert_eq!(lock.next_publish().payload, "first");
    lock.expect_nothing();
}

/// A newer connection of the same client ends the older one before the loss
/// is told, and does not get the command.
#[test]
fn a_takeover_ends_it_on_the_older_connection() {
    let broker = TestBroker::start();
    for clean_start in [false, true] {
        let mut older = durable(&broker, V5, 10);
        older.subscribe("lock/down", AtLeastOnce);
        let mut live = publish(&broker, LONG);
        assert_eq!(next(&broker, &mut live), Some(Sent));
        older.next_publish();
        let mut connect = connect(V5, 10);
        connect.clean_start = clean_start;
        let (mut newer, _) = Client::connect_with(broker.address(), connect);
        assert_eq!(next(&broker, &mut live), Some(Lost));
        // Lost, that is: the older one's bytes are gone from the system.
        older.stream().set_nonblocking(true).unwrap();
        let mut byte = [0];
        let error = std::io::Read::read(&mut older.stream(), &mut byte).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        newer.expect_nothing();
        newer.disconnect();
    }
}

#[test]
fn a_device_that_refuses_it_has_not_taken_it() {
    let broker = TestBroker::start();
    let mut lock = Client::connect(broker.address(), V5, "lock");
    lock.subscribe("lock/down", AtLeastOnce);
    let mut live = publish(&broker, LONG);
    let id = lock.next_publish().packet_id.unwrap();
    lock.send(Packet::PubAck(PubAck::new(id, ReasonCode::QuotaExceeded)));
    assert_eq!(next(&broker, &mut live), Some(Sent));
    assert_eq!(next(&broker, &mut live), Some(Lost));
    lock.expect_nothing();
}

#[test]
fn inline_subscriptions_and_the_retained_store_do_not_get_it() {
    let broker = TestBroker::start();
    let inline = broker.inline();
    let mut subscription =
        inline.subscribe("#".try_into().unwrap(), SubscriptionOptions::default()).unwrap();
    let mut publish = InlinePublish::new("lock/down".try_into().unwrap(), "unlock");
    publish.retain = true;
    inline.publish_live(publish, LONG);
    inline.publish(InlinePublish::new("after".try_into().unwrap(), "x"));
    let message = broker.wait(subscription.next()).unwrap();
    assert_eq!(message.topic, "after");
    assert_eq!(broker.counters().retained_messages, 0);
}

#[test]
fn several_arrive_in_their_order() {
    let broker = TestBroker::with_options(Options::default());
    let mut lock = durable(&broker, V5, 2);
    lock.subscribe("lock/down", AtLeastOnce);
    let topic = || "lock/down".try_into().unwrap();
    let handles: Vec<_> = (0..10)
        .map(|number: i32| {
            broker.inline().publish_live(InlinePublish::new(topic(), number.to_string()), LONG)
        })
        .collect();
    for number in 0..10 {
        let received = lock.next_publish();
        assert_eq!(received.payload, number.to_string());
        lock.acknowledge(&received);
    }
    for mut live in handles {
        assert_eq!(next(&broker, &mut live), Some(Sent));
        assert_eq!(next(&broker, &mut live), Some(Delivered));
    }
}

fn publish(broker: &TestBroker, lifetime: Duration) -> LivePublish {
    let publish = InlinePublish::new("lock/down".try_into().unwrap(), "unlock");
    broker.inline().publish_live(publish, lifetime)
}

fn next(broker: &TestBroker, live: &mut LivePublish) -> Option<LiveStatus> {
    broker.wait(live.next()).map(|event| event.what)
}

fn connect(version: ProtocolVersion, receive_maximum: u16) -> Connect {
    let mut connect = Connect { clean_start: false, ..Connect::new(version, "lock") };
    if version == V5 {
        let values = connect.properties.make_mut();
        values.session_expiry_interval = Some(600);
        values.receive_maximum = Some(receive_maximum);
    }
    connect
}

/// A lock whose session outlives its connection.
fn durable(broker: &TestBroker, version: ProtocolVersion, receive_maximum: u16) -> Client {
    Client::connect_with(broker.address(), connect(version, receive_maximum)).0
}
