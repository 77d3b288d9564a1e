//! Each limit at its value and at one more (C13), and what over quota looks
//! like (C14).
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use latchlight_broker::{Options, WhenFull};
use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion, Publish, QoS, ReasonCode, Subscribe,
    SubscribeFilter, SubscriptionOptions,
};
use support::{Client, TestBroker, VERSIONS};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

#[test]
fn packet_size() {
    let broker = with(|options| options.max_packet_size = 1000);
    let publish = |version: ProtocolVersion, total: usize| {
        let mut bytes = Vec::new();
        let packet = |len| Packet::Publish(Publish::new("a", vec![b'x'; len]));
        let overhead = packet(500).encoded_len(version).unwrap() - 500;
        packet(total - overhead).encode(version, &mut bytes).unwrap();
        assert_eq!(bytes.len(), total);
        bytes
    };
    for version in VERSIONS {
        let mut client = Client::connect(broker.address(), version, "client");
        client.send_bytes(&publish(version, 1000));
        client.expect_nothing();
        // The header is enough: what is too large is not waited for.
        client.send_bytes(&publish(version, 1001)[..5]);
        client.expect_disconnect(ReasonCode::PacketTooLarge);
    }
}

#[test]
fn time_before_connect() {
    let broker = with(|options| options.connect_timeout = Duration::from_millis(200));
    let since = Instant::now();
    let mut silent = Client::open(broker.address(), V5);
    let mut slow = Client::open(broker.address(), V5);
    slow.send_bytes(&[0x10, 20, 0, 4]);
    silent.expect_closed();
    slow.expect_closed();
    assert!(since.elapsed() >= Duration::from_millis(190));
    // Who has said CONNECT in time stays.
    let mut client = Client::connect(broker.address(), V5, "client");
    std::thread::sleep(Duration::from_millis(300));
    client.expect_nothing();
}

#[test]
fn bytes_before_connect() {
    let broker = with(|options| options.max_connect_size = 100);
    let connect = |total: usize| {
        let mut bytes = Vec::new();
        let packet = |len| Packet::Connect(Box::new(Connect::new(V5, "x".repeat(len))));
        let overhead = packet(10).encoded_len(V5).unwrap() - 10;
        packet(total - overhead).encode(V5, &mut bytes).unwrap();
        assert_eq!(bytes.len(), total);
        bytes
    };
    let mut client = Client::open(broker.address(), V5);
    client.send_bytes(&connect(100));
    assert!(matches!(client.next(), Packet::ConnAck(_)));
    let mut client = Client::open(broker.address(), V5);
    client.send_bytes(&connect(101)[..2]);
    while client.try_next().is_some() {}
    assert_eq!(broker.clients().len(), 1);
}

#[test]
fn connections_in_all() {
    let broker = with(|options| options.max_connections = 2);
    let one = Client::connect(broker.address(), V5, "one");
    let mut two = Client::connect(broker.address(), V5, "two");
    Client::open(broker.address(), V5).expect_closed();
    assert_eq!(broker.counters().connections_refused, 1);
    two.expect_nothing();
    one.disconnect();
    broker.until("a place is free", |broker| broker.counters().connections == 1);
    Client::connect(broker.address(), V5, "three");
}

#[test]
fn connections_of_one_address() {
    let broker = with(|options| options.max_connections_per_address = 1);
    let mut one = Client::connect(broker.address(), V5, "one");
    Client::open(broker.address(), V5).expect_closed();
    // Another address has its own count.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.2:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&broker.address().into()).unwrap();
    let mut two = Client::over(socket.into(), V5);
    two.send(Packet::Connect(Box::new(Connect::new(V5, "two"))));
    assert!(matches!(two.next(), Packet::ConnAck(_)));
    one.expect_nothing();
}

#[test]
fn sessions() {
    let broker = with(|options| options.max_sessions = 2);
    for id in ["one", "two"] {
        durable(&broker, id).disconnect();
    }
    for version in VERSIONS {
        let (mut client, connack) =
            Client::try_connect(broker.address(), Connect::new(version, "three"));
        let expected =
            if version == V5 { ReasonCode::QuotaExceeded } else { ReasonCode::ServerUnavailable };
        assert_eq!(connack.reason, expected);
        client.expect_closed();
    }
    // Who has a session has a place.
    durable(&broker, "one");
    Client::connect(broker.address(), V5, "two").disconnect();
    broker.until("one has ended", |broker| broker.counters().sessions == 1);
    Client::connect(broker.address(), V5, "three");
}

#[test]
fn session_expiry() {
    let broker = with(|options| options.max_session_expiry = Duration::from_secs(1));
    let mut connect = Connect::new(V5, "client");
    connect.properties.make_mut().session_expiry_interval = Some(u32::MAX);
    let (client, connack) = Client::connect_with(broker.address(), connect);
    // MQTT 5, 3.2.2.3.2: the client is told what it gets.
    assert_eq!(connack.properties.session_expiry_interval, Some(1));
    client.disconnect();
    broker.until("it ends", |broker| broker.counters().sessions == 0);
}

#[test]
fn subscriptions() {
    let broker = with(|options| options.max_subscriptions = 2);
    for version in VERSIONS {
        let mut client = Client::connect(broker.address(), version, "client");
        client.subscribe("a", AtMostOnce);
        client.subscribe("b", AtMostOnce);
        let reason = client.try_subscribe("c", SubscriptionOptions::default());
        let expected =
            if version == V5 { ReasonCode::QuotaExceeded } else { ReasonCode::UnspecifiedError };
        assert_eq!(reason, expected);
        // One that it has may be changed, and one that is given up makes room.
        client.subscribe("b", AtLeastOnce);
        client.unsubscribe("a");
        client.subscribe("c", AtMostOnce);
    }
}

#[test]
fn topic_depth() {
    let broker = with(|options| options.max_topic_levels = 3);
    let mut client = Client::connect(broker.address(), V5, "client");
    client.subscribe("a/b/c", AtMostOnce);
    client.subscribe("$share/group/a/b/+", AtMostOnce);
    let reason = client.try_subscribe("a/b/c/#", SubscriptionOptions::default());
    assert_eq!(reason, ReasonCode::TopicFilterInvalid);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    assert_eq!(publisher.publish("a/b/c", "x", AtLeastOnce), ReasonCode::Success);
    let too_deep =
        Publish { qos: AtLeastOnce, packet_id: PacketId::new(9), ..Publish::new("a/b/c/d", "x") };
    publisher.send(Packet::Publish(too_deep));
    // In the acknowledgement or by the end: never a success.
    match publisher.next() {
        Packet::PubAck(ack) => assert_eq!(ack.reason, ReasonCode::TopicNameInvalid),
        Packet::Disconnect(end) => assert_eq!(end.reason, ReasonCode::TopicNameInvalid),
        other => panic!("unexpected {other:?}"),
    }
}

/// However many levels the options allow: the deepest topic that is taken
/// harms nobody, and deeper ones are refused everywhere.
#[test]
fn a_topic_of_slashes() {
    let broker = with(|options| options.max_topic_levels = usize::MAX);
    let mut client = Client::connect(broker.address(), V5, "client");
    let deep = "/".repeat(1023);
    client.publish_retained(&deep, "x", AtLeastOnce);
    client.subscribe(&deep, AtMostOnce);
    assert_eq!(client.next_message().0, deep);
    client.unsubscribe(&deep);
    client.subscribe("#", AtMostOnce);
    assert_eq!(client.next_message().0, deep);

    let deeper = "/".repeat(65_000);
    let reason = client.try_subscribe(&deeper, SubscriptionOptions::default());
    assert_eq!(reason, ReasonCode::TopicFilterInvalid);
    let will = latchlight_mqtt::Will {
        topic: deeper.as_str().try_into().unwrap(),
        payload: "x".into(),
        qos: AtMostOnce,
        retain: true,
        properties: Default::default(),
    };
    let connect = Connect { will: Some(will), ..Connect::new(V5, "dying") };
    let options = Options { max_connect_size: 100_000, ..Options::default() };
    let generous = TestBroker::with_options(options);
    let (_, connack) = Client::try_connect(generous.address(), connect);
    assert_eq!(connack.reason, ReasonCode::TopicNameInvalid);
    client.send(Packet::Publish(Publish { retain: true, ..Publish::new(deeper, "x") }));
    client.expect_disconnect(ReasonCode::TopicNameInvalid);
}

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
        options.when_full = WhenFull::DropOldest;
    });
    let mut publisher = full_queue(&broker, false);
    assert_eq!(publisher.publish("a", "one more", AtLeastOnce), ReasonCode::Success);
    assert_eq!(broker.counters().dropped_queue_full, 1);
    assert_eq!(waiting(&broker), ["0", "2", "3", "one more"]);
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
    let broker = with(|options| options.max_queued_bytes = 300);
    let mut reader = with_window_of_one(&broker, true);
    reader.subscribe("a", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let payload = "x".repeat(99);
    for _ in 0..4 {
        assert_eq!(publisher.publish("a", &payload, AtLeastOnce), ReasonCode::Success);
    }
    assert_eq!(publisher.publish("a", "", AtLeastOnce), ReasonCode::QuotaExceeded);
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

#[test]
fn subscription_bytes() {
    // A filter of one letter takes 1 + 128 bytes.
    let broker = with(|options| options.max_subscription_bytes = 3 * 129);
    let mut client = Client::connect(broker.address(), V5, "client");
    let options = SubscriptionOptions::qos(AtMostOnce);
    for filter in ["a", "b", "a", "c"] {
        assert_eq!(client.try_subscribe(filter, options), ReasonCode::Success);
    }
    assert_eq!(client.try_subscribe("d", options), ReasonCode::QuotaExceeded);
    client.unsubscribe("a");
    assert_eq!(client.try_subscribe("d/", options), ReasonCode::QuotaExceeded);
    assert_eq!(client.try_subscribe("d", options), ReasonCode::Success);
}

#[test]
fn partial_bytes() {
    let broker = with(|options| options.max_partial_bytes = 700_000);
    let mut bytes = Vec::new();
    let packet = Packet::Publish(Publish::new("a", vec![b'x'; 900_000]));
    packet.encode(V5, &mut bytes).unwrap();
    let mut first = Client::connect(broker.address(), V5, "first");
    first.send_bytes(&bytes[..400_000]);
    broker.until("it is held", |broker| broker.counters().partial_bytes >= 400_000);
    let mut second = Client::connect(broker.address(), V5, "second");
    second.try_send_bytes(&bytes[..400_000]);
    second.expect_disconnect(ReasonCode::QuotaExceeded);
    // Small ones are no matter, and what is whole is not held any more.
    let mut third = Client::connect(broker.address(), V5, "third");
    third.publish("a", &"x".repeat(30_000), AtLeastOnce);
    first.send_bytes(&bytes[400_000..500_000]);
    drop(first);
    broker.until("it is gone", |broker| broker.counters().partial_bytes == 0);
    third.send_bytes(&bytes);
    third.expect_nothing();
    broker.until("it was taken", |broker| broker.counters().partial_bytes == 0);
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

#[test]
fn retained_bytes() {
    let broker = with(|options| options.max_retained_bytes = 100);
    let mut client = Client::connect(broker.address(), V5, "client");
    client.publish_retained("a", &"x".repeat(98), AtLeastOnce);
    assert_eq!(client.publish_retained("b", "x", AtLeastOnce), ReasonCode::QuotaExceeded);
    assert_eq!(client.publish_retained("b", "", AtLeastOnce), ReasonCode::NoMatchingSubscribers);
    assert_eq!(broker.counters().retained_bytes, 99);
    client.publish_retained("a", "x", AtLeastOnce);
    client.publish_retained("b", &"x".repeat(97), AtLeastOnce);
    assert_eq!(broker.counters().retained_bytes, 100);
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
