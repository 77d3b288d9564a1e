//! What waits for a reader, at its bounds and one beyond (C13), and what the
//! publisher is told then (C14).
#![allow(clippy::unwrap_used)]

mod support;

use latchlight_broker::{Options, WhenFull, WhenOfflineFull};
use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion, QoS, ReasonCode, Subscribe, SubscribeFilter,
    SubscriptionOptions,
};
use support::{Client, TestBroker};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

#[test]
fn queued_messages_drop_newest() {
    for connected in [true, false] {
        let broker = with(|options| options.max_queued_messages = 3);
        let mut publisher = full_queue(&broker, connected);
        // C14: nobody has taken it, and that is said.
        for qos in [AtLeastOnce, ExactlyOnce] {
            assert_eq!(publisher.publish("a", "one more", qos), ReasonCode::QuotaExceeded);
        }
        assert_eq!(broker.counters().dropped_queue_full, 2);
        assert_eq!(waiting(&broker), ["0", "1", "2", "3"]);
    }
}

#[test]
fn queued_messages_drop_oldest() {
    let broker = with(|options| {
        options.max_queued_messages = 3;
        options.when_full_offline = WhenOfflineFull::DropOldest;
    });
    let mut publisher = full_queue(&broker, false);
    assert_eq!(publisher.publish("a", "one more", AtLeastOnce), ReasonCode::Success);
    assert_eq!(broker.counters().dropped_queue_full, 1);
    assert_eq!(waiting(&broker), ["0", "2", "3", "one more"]);
}

/// As many of the oldest go as a large one needs; one that would never fit
/// drives out none.
#[test]
fn queued_bytes_drop_oldest() {
    let broker = with(|options| {
        options.max_queued_bytes = 30;
        options.when_full_offline = WhenOfflineFull::DropOldest;
    });
    // Each takes its topic and payload: 1 + 1 bytes.
    let mut publisher = full_queue(&broker, false);
    let payload = "x".repeat(25);
    assert_eq!(publisher.publish("a", &payload, AtLeastOnce), ReasonCode::Success);
    assert_eq!(broker.counters().dropped_queue_full, 1);
    let too_large = "x".repeat(30);
    assert_eq!(publisher.publish("a", &too_large, AtLeastOnce), ReasonCode::QuotaExceeded);
    assert_eq!(broker.counters().dropped_queue_full, 2);
    assert_eq!(waiting(&broker), ["0", "2", "3", &payload]);
}

#[test]
fn queued_messages_disconnect() {
    let broker = with(|options| {
        options.max_queued_messages = 3;
        options.when_full = WhenFull::Disconnect;
    });
    let mut reader = with_window_of_one(&broker, true);
    reader.subscribe("a", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for number in 0..4 {
        publisher.publish("a", &number.to_string(), AtLeastOnce);
    }
    reader.next_publish();
    publisher.publish("a", "one more", AtLeastOnce);
    reader.expect_disconnect(ReasonCode::QuotaExceeded);
}

#[test]
fn queued_bytes() {
    // Each takes its topic and payload: 1 + 99 bytes.
    for connected in [true, false] {
        let broker = with(|options| options.max_queued_bytes = 300);
        let mut reader = with_window_of_one(&broker, true);
        reader.subscribe("a", AtLeastOnce);
        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        let payload = "x".repeat(99);
        // Of a client that is there, one more is in flight.
        let fits = if connected { 4 } else { 3 };
        let _reader = Some(reader).filter(|_| connected);
        broker.until("it is gone", |broker| broker.clients().len() == fits - 2);
        for _ in 0..fits {
            assert_eq!(publisher.publish("a", &payload, AtLeastOnce), ReasonCode::Success);
        }
        for qos in [AtLeastOnce, ExactlyOnce] {
            assert_eq!(publisher.publish("a", "", qos), ReasonCode::QuotaExceeded);
        }
        assert_eq!(broker.counters().dropped_queue_full, 2);
    }
}

/// What a client has been sent and does not acknowledge is kept, within the
/// same bound; it gets all of it again, and what waits after that.
#[test]
fn bytes_in_flight() {
    let broker = with(|options| options.max_queued_bytes = 300);
    let mut connect = Connect { clean_start: false, ..Connect::new(V5, "reader") };
    connect.properties.make_mut().session_expiry_interval = Some(600);
    let connect = || Client::connect_with(broker.address(), connect.clone()).0;
    let mut reader = connect();
    reader.subscribe("a", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let publish = |publisher: &mut Client, number: u8| {
        publisher.publish("a", &char::from(b'0' + number).to_string().repeat(99), AtLeastOnce)
    };
    for number in 0..6 {
        assert_eq!(publish(&mut publisher, number), ReasonCode::Success);
    }
    assert_eq!(publish(&mut publisher, 6), ReasonCode::QuotaExceeded);
    let first = reader.next_publish();
    for expected in [b'1', b'2'] {
        assert_eq!(reader.next_publish().payload[0], expected);
    }
    reader.expect_nothing();
    reader.acknowledge(&first);
    assert_eq!(reader.next_publish().payload[0], b'3');
    reader.expect_nothing();
    reader.vanish();
    let mut reader = connect();
    for expected in [b'1', b'2', b'3'] {
        let again = reader.next_publish();
        assert_eq!((again.payload[0], again.dup), (expected, true));
        reader.acknowledge(&again);
    }
    for expected in [b'4', b'5'] {
        let next = reader.next_publish();
        assert_eq!(next.payload[0], expected);
        reader.acknowledge(&next);
    }
    reader.expect_nothing();
}

#[test]
fn waiting_bytes_of_all_sessions() {
    // Each takes its topic and payload: 1 + 99 bytes.
    let broker = with(|options| options.max_waiting_bytes = 300);
    let payload = "x".repeat(99);
    for id in ["a", "b"] {
        let mut reader = durable(&broker, id);
        reader.subscribe(id, AtLeastOnce);
        reader.disconnect();
    }
    broker.until("they are gone", |broker| broker.clients().is_empty());
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for topic in ["a", "a", "b"] {
        assert_eq!(publisher.publish(topic, &payload, AtLeastOnce), ReasonCode::Success);
    }
    for topic in ["a", "b"] {
        assert_eq!(publisher.publish(topic, &payload, AtLeastOnce), ReasonCode::QuotaExceeded);
    }
    assert_eq!(broker.counters().waiting_bytes, 300);
    // What a session has in flight and may be sent again is no less.
    let mut reader = durable(&broker, "a");
    let received = reader.next_publish();
    assert_eq!(publisher.publish("b", &payload, AtLeastOnce), ReasonCode::QuotaExceeded);
    reader.acknowledge(&received);
    reader.next_publish();
    reader.expect_nothing();
    assert_eq!(publisher.publish("b", &payload, AtLeastOnce), ReasonCode::Success);
    // A session that ends holds nothing.
    reader.disconnect();
    for id in ["a", "b"] {
        Client::connect(broker.address(), V5, id).disconnect();
    }
    broker.until("they have ended", |broker| broker.counters().waiting_bytes == 0);
}

/// Retained messages wait for a reader without a bound of their own, but it
/// cannot have them wait over and over.
#[test]
fn retained_messages_that_wait() {
    let broker = with(|options| options.max_queued_messages = 10);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for number in 0..11 {
        publisher.publish_retained(&number.to_string(), "x", AtLeastOnce);
    }
    let mut reader = with_window_of_one(&broker, true);
    let options = SubscriptionOptions::qos(AtLeastOnce);
    // One is in flight, ten wait: no more than may.
    assert_eq!(reader.try_subscribe("+", options), ReasonCode::GrantedQoS1);
    let first = reader.next_publish();
    assert_eq!(reader.try_subscribe("0", options), ReasonCode::GrantedQoS1);
    for filter in ["+", "1"] {
        assert_eq!(reader.try_subscribe(filter, options), ReasonCode::QuotaExceeded);
    }
    // What brings none is no matter.
    assert_eq!(reader.try_subscribe("$share/group/1", options), ReasonCode::GrantedQoS1);
    reader.acknowledge(&first);
    for _ in 0..11 {
        let received = reader.next_publish();
        reader.acknowledge(&received);
    }
    reader.expect_nothing();
    assert_eq!(reader.try_subscribe("1", options), ReasonCode::GrantedQoS1);
}

#[test]
fn retained_messages_that_one_packet_asks_for() {
    let broker = with(|options| options.max_queued_messages = 10);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for number in 0..11 {
        publisher.publish_retained(&number.to_string(), "x", AtLeastOnce);
    }
    let filter = |filter: &str| SubscribeFilter {
        filter: filter.try_into().unwrap(),
        options: SubscriptionOptions::qos(AtLeastOnce),
    };
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.send(Packet::Subscribe(Subscribe {
        packet_id: PacketId::MIN,
        filters: vec![filter("+"), filter("#"), filter("nothing/+")],
        properties: Default::default(),
    }));
    match reader.next() {
        Packet::SubAck(ack) => assert_eq!(
            ack.reasons,
            [ReasonCode::GrantedQoS1, ReasonCode::QuotaExceeded, ReasonCode::GrantedQoS1]
        ),
        other => panic!("expected SUBACK, received {other:?}"),
    }
}

/// Somebody else has room: the message is taken, and the drop is counted.
#[test]
fn one_full_queue_of_several_is_no_failure() {
    let broker = with(|options| options.max_queued_messages = 3);
    let mut other = Client::connect(broker.address(), V311, "other");
    other.subscribe("a", AtMostOnce);
    let mut publisher = full_queue(&broker, false);
    assert_eq!(publisher.publish("a", "one more", AtLeastOnce), ReasonCode::Success);
    assert_eq!(broker.counters().dropped_queue_full, 1);
}

fn with(change: impl FnOnce(&mut Options)) -> TestBroker {
    let mut options = Options::default();
    change(&mut options);
    TestBroker::with_options(options)
}

fn durable(broker: &TestBroker, client_id: &str) -> Client {
    let mut connect = Connect { clean_start: false, ..Connect::new(V5, client_id) };
    connect.properties.make_mut().session_expiry_interval = Some(600);
    Client::connect_with(broker.address(), connect).0
}

/// The session that these tests fill: one message in flight, the others wait.
fn with_window_of_one(broker: &TestBroker, clean_start: bool) -> Client {
    let mut connect = Connect { clean_start, ..Connect::new(V5, "reader") };
    let values = connect.properties.make_mut();
    values.session_expiry_interval = Some(600);
    values.receive_maximum = Some(1);
    Client::connect_with(broker.address(), connect).0
}

/// Fills a queue of three; one more message is in flight.
fn full_queue(broker: &TestBroker, connected: bool) -> Client {
    let mut reader = with_window_of_one(broker, true);
    reader.subscribe("a", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.publish("a", "0", AtLeastOnce);
    reader.next_publish();
    if !connected {
        reader.disconnect();
    } else {
        // Only its window is full.
        std::mem::forget(reader);
    }
    for number in 1..4 {
        let reason = publisher.publish("a", &number.to_string(), AtLeastOnce);
        assert_eq!(reason, ReasonCode::Success);
    }
    publisher
}

/// What the session gets when it comes back.
fn waiting(broker: &TestBroker) -> Vec<String> {
    let mut reader = with_window_of_one(broker, false);
    let mut received = Vec::new();
    loop {
        reader.send(Packet::PingReq);
        let Packet::Publish(publish) = reader.next() else { return received };
        received.push(String::from_utf8(publish.payload.to_vec()).unwrap());
        assert_eq!(reader.next(), Packet::PingResp);
        reader.acknowledge(&publish);
    }
}
