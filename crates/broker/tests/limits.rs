//! Each limit at its value and at one more (C13), and what over quota looks
//! like (C14).
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use latchlight_broker::Options;
use latchlight_mqtt::{
    Connect, Packet, PacketId, Properties, ProtocolVersion, PubAck, Publish, QoS, ReasonCode,
    Subscribe, SubscribeFilter, SubscriptionOptions, Will,
};
use support::{Client, TestBroker, VERSIONS, resuming};

use ProtocolVersion::{V5, V31, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// The client has the message under its id, and says later that it takes only
/// smaller ones: another message under that id must not pass for the same.
#[test]
fn what_has_become_too_large_to_be_sent_again_leaves_its_packet_id_to_the_next() {
    let broker = with(|_| {});
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.subscribe("a", ExactlyOnce);
    let mut writer = Client::connect(broker.address(), V5, "writer");
    writer.publish("a", &"x".repeat(100), ExactlyOnce);
    let id = reader.next_publish().packet_id.unwrap();
    reader.vanish();
    let mut connect = resuming(V5, "reader");
    connect.properties.make_mut().maximum_packet_size = Some(50);
    let mut reader = Client::connect_with(broker.address(), connect).0;
    reader.next_pubrel(id);
    reader.pubcomp(id);
    reader.expect_nothing();
    assert_eq!(broker.session("reader").unwrap().in_flight, 0);
    writer.publish("a", "small", ExactlyOnce);
    assert_eq!(reader.next_message().1, "small");
    assert_eq!(broker.counters().dropped_too_large, 1);
}

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
    let broker = with(|options| options.connect_timeout = Duration::from_secs(2));
    let since = Instant::now();
    let mut silent = Client::open(broker.address(), V5);
    let mut slow = Client::open(broker.address(), V5);
    slow.send_bytes(&[0x10, 20, 0, 4]);
    silent.expect_closed();
    slow.expect_closed();
    assert!(since.elapsed() >= Duration::from_millis(1990));
    // Who has said CONNECT in time stays.
    let mut client = Client::connect(broker.address(), V5, "client");
    std::thread::sleep(Duration::from_millis(2300));
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
    let broker = with(|options| options.max_session_expiry = Duration::from_secs(3));
    let mut connect = Connect::new(V5, "client");
    connect.properties.make_mut().session_expiry_interval = Some(u32::MAX);
    let (client, connack) = Client::connect_with(broker.address(), connect);
    // MQTT 5, 3.2.2.3.2: the client is told what it gets.
    assert_eq!(connack.properties.session_expiry_interval, Some(3));
    client.disconnect();
    broker.until("it ends", |broker| broker.counters().sessions == 0);
    // The older versions ask for a session without an end.
    for version in [V31, V311] {
        let connect = Connect { clean_start: false, ..Connect::new(version, "client") };
        Client::connect_with(broker.address(), connect).0.disconnect();
        assert_eq!(broker.counters().sessions, 1);
        broker.until("it ends", |broker| broker.counters().sessions == 0);
    }
}

#[test]
fn in_flight() {
    let broker = with(|options| options.max_in_flight = 2);
    for version in VERSIONS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.subscribe("a", AtLeastOnce);
        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        for _ in 0..3 {
            publisher.publish("a", "x", AtLeastOnce);
        }
        let first = reader.next_publish();
        reader.next_publish();
        reader.expect_nothing();
        reader.acknowledge(&first);
        reader.next_publish();
        reader.expect_nothing();
    }
}

/// All packets but PUBLISH.
#[test]
fn size_of_a_packet_that_is_no_message() {
    let broker = TestBroker::start();
    let subscribe = |total: usize| {
        let packet = |fill: usize| {
            let mut properties = Properties::new();
            let text = |len| ("".into(), "x".repeat(len).into());
            properties.make_mut().user_properties = vec![text(60_000); 17];
            properties.make_mut().user_properties.push(text(fill));
            let options = SubscriptionOptions::qos(AtMostOnce);
            let filters = vec![SubscribeFilter { filter: "a".try_into().unwrap(), options }];
            Packet::Subscribe(Subscribe { packet_id: PacketId::MIN, filters, properties })
        };
        let mut bytes = Vec::new();
        let fill = total - packet(0).encoded_len(V5).unwrap();
        packet(fill).encode(V5, &mut bytes).unwrap();
        assert_eq!(bytes.len(), total);
        bytes
    };
    let mut client = Client::connect(broker.address(), V5, "client");
    client.send_bytes(&subscribe(1024 * 1024));
    assert!(matches!(client.next(), Packet::SubAck(_)));
    // A message may be larger.
    client.publish("b", &"x".repeat(2 * 1024 * 1024), AtLeastOnce);
    client.send_bytes(&subscribe(1024 * 1024 + 1));
    client.expect_disconnect(ReasonCode::QuotaExceeded);
}

#[test]
fn user_properties_of_a_packet() {
    let broker = with(|options| options.max_user_properties = 2);
    let pairs = |count| {
        let mut properties = Properties::new();
        properties.make_mut().user_properties = vec![("a".into(), "b".into()); count];
        properties
    };
    let connect = |own: usize, of_will: usize| {
        let will = Will {
            topic: "w".try_into().unwrap(),
            payload: "x".into(),
            qos: AtMostOnce,
            retain: false,
            properties: pairs(of_will),
        };
        let connect = Connect::new(V5, "client");
        Connect { properties: pairs(own), will: Some(will), ..connect }
    };
    for (own, of_will) in [(3, 2), (2, 3)] {
        let (_, connack) = Client::try_connect(broker.address(), connect(own, of_will));
        assert_eq!(connack.reason, ReasonCode::QuotaExceeded);
    }
    let publish = |count| {
        let packet_id = Some(PacketId::MIN);
        Publish { qos: AtLeastOnce, packet_id, properties: pairs(count), ..Publish::new("a", "x") }
    };
    let options = SubscriptionOptions::qos(AtMostOnce);
    let filters = vec![SubscribeFilter { filter: "a".try_into().unwrap(), options }];
    let packets = |count| {
        let (packet_id, properties) = (PacketId::MIN, pairs(count));
        let filters = filters.clone();
        let ack = PubAck { packet_id, reason: ReasonCode::Success, properties: pairs(count) };
        let subscribe = Subscribe { packet_id, filters, properties };
        [Packet::Publish(publish(count)), Packet::Subscribe(subscribe), Packet::PubAck(ack)]
    };
    for packet in packets(3) {
        let (mut client, _) = Client::connect_with(broker.address(), connect(2, 2));
        let name = format!("{:?}", packet.packet_type());
        client.send(packet);
        match client.next() {
            Packet::Disconnect(end) => assert_eq!(end.reason, ReasonCode::QuotaExceeded, "{name}"),
            other => panic!("unexpected {other:?}"),
        }
    }
    let (mut client, _) = Client::connect_with(broker.address(), connect(2, 2));
    for packet in packets(2) {
        client.send(packet);
    }
    assert!(matches!(client.next(), Packet::PubAck(_)));
    assert!(matches!(client.next(), Packet::SubAck(_)));
    client.expect_nothing();
}

#[test]
fn partial_bytes() {
    let broker = with(|options| options.max_partial_bytes = 700_000);
    let mut bytes = Vec::new();
    let packet = Packet::Publish(Publish::new("a", vec![b'x'; 690_000]));
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

/// Room is for what came: 128 KiB at first, from 32 KiB and a byte on, and four
/// times as much when that is full.
#[test]
fn who_says_much_and_sends_little_takes_little() {
    let bytes = much();
    let broker = with(|_| {});
    let mut client = Client::connect(broker.address(), V5, "client");
    let before = broker.counters().received.bytes;
    let mut sent = 0;
    for (until, held) in [(5, 0), (32_768, 0), (32_769, 131_072), (131_073, 524_288)] {
        client.send_bytes(&bytes[sent..until]);
        sent = until;
        broker.until("it came", |broker| broker.counters().received.bytes >= before + until as u64);
        broker.until("it is held", |broker| broker.counters().partial_bytes == held);
    }
    client.send_bytes(&bytes[sent..]);
    client.expect_nothing();
    broker.until("it was taken", |broker| broker.counters().partial_bytes == 0);
}

#[test]
fn room_up_to_the_limit_is_given_and_no_byte_more() {
    let bytes = much();
    for (limit, is_given) in [(131_072, true), (131_071, false)] {
        let broker = with(|options| options.max_partial_bytes = limit);
        let mut client = Client::connect(broker.address(), V5, "client");
        let before = broker.counters().received.bytes;
        client.send_bytes(&bytes[..5]);
        // By its length alone: of more at once, it would get four times as much.
        broker.until("it came", |broker| broker.counters().received.bytes >= before + 5);
        client.try_send_bytes(&bytes[5..100_000]);
        if is_given {
            broker.until("it is held", |broker| broker.counters().partial_bytes == 131_072);
        } else {
            client.expect_disconnect(ReasonCode::QuotaExceeded);
        }
    }
}

/// A PUBLISH of 10 MB.
fn much() -> Vec<u8> {
    let mut bytes = Vec::new();
    let packet = Packet::Publish(Publish::new("a", vec![b'x'; 10_000_000]));
    packet.encode(V5, &mut bytes).unwrap();
    bytes
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

#[test]
fn retained_messages() {
    let broker = with(|options| options.max_retained_messages = 2);
    for version in VERSIONS {
        let mut client = Client::connect(broker.address(), version, "client");
        client.publish_retained("a", "x", AtLeastOnce);
        client.publish_retained("b", "x", AtLeastOnce);
        let reason = client.publish_retained("c", "x", AtLeastOnce);
        // Older versions have no word for it.
        let expected = if version == V5 { ReasonCode::QuotaExceeded } else { ReasonCode::Success };
        assert_eq!(reason, expected);
        assert_eq!(broker.counters().retained_messages, 2);
        // One that is there may be changed, and one that is taken away makes room.
        client.publish_retained("a", "y", AtLeastOnce);
        client.publish_retained("a", "", AtLeastOnce);
        client.publish_retained("c", "x", AtLeastOnce);
        assert_eq!(broker.counters().retained_messages, 2);
        client.publish_retained("c", "", AtLeastOnce);
    }
    assert_eq!(broker.counters().retained_refused, 3);
}

/// Five bytes on the wire are a good deal more in memory.
fn with_user_properties(topic: &'static str, count: usize) -> Publish {
    let mut publish = Publish { qos: AtLeastOnce, ..Publish::new(topic, "x") };
    publish.properties.make_mut().user_properties = vec![("".into(), "".into()); count];
    publish
}

#[test]
fn properties_count_as_bytes_of_their_messages() {
    let broker = with(|options| {
        options.max_user_properties = 2000;
        options.max_retained_bytes = 100_000;
        options.max_queued_bytes = 100_000;
    });
    let reader = durable(&broker, "reader");
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let mut retain = |count| {
        publisher.publish_packet(Publish { retain: true, ..with_user_properties("a", count) })
    };
    assert_eq!(retain(1000), ReasonCode::NoMatchingSubscribers);
    assert_eq!(retain(2000), ReasonCode::QuotaExceeded);
    assert!(broker.counters().retained_bytes > 60_000);
    let mut reader = reader;
    reader.subscribe("queue", AtLeastOnce);
    reader.disconnect();
    let mut queue = || publisher.publish_packet(with_user_properties("queue", 1000));
    assert_eq!(queue(), ReasonCode::Success);
    assert_eq!(queue(), ReasonCode::QuotaExceeded);
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
