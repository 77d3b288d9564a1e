//! PUBLISH and the delivery of messages (MQTT 5, 3.3 to 3.7 and 4.3 to 4.6).
#![allow(clippy::unwrap_used)]

mod support;

use latchlight_broker::Options;
use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion, PubRec, Publish, QoS, ReasonCode,
};
use support::{Client, TestBroker, VERSIONS, values};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

const EVERY_QOS: [QoS; 3] = [AtMostOnce, AtLeastOnce, ExactlyOnce];

#[test]
fn messages_pass_between_all_versions_at_the_lower_of_both_qos() {
    let broker = TestBroker::start();
    for from in VERSIONS {
        for to in VERSIONS {
            let mut publisher = Client::connect(broker.address(), from, "publisher");
            let mut subscriber = Client::connect(broker.address(), to, "subscriber");
            for granted in EVERY_QOS {
                subscriber.subscribe("door/+/state", granted);
                for published in EVERY_QOS {
                    publisher.publish("door/front/state", "locked", published);
                    let received = subscriber.next_publish();
                    // [MQTT-3.8.4-8]
                    assert_eq!(received.qos, published.min(granted), "{from:?} to {to:?}");
                    assert_eq!(received.topic, "door/front/state");
                    assert_eq!(received.payload, "locked");
                    assert!(!received.dup && !received.retain);
                    subscriber.acknowledge(&received);
                }
            }
            publisher.disconnect();
            subscriber.disconnect();
        }
    }
}

#[test]
fn payloads_of_every_size_arrive_whole() {
    let broker = TestBroker::start();
    let mut subscriber = Client::connect(broker.address(), V5, "subscriber");
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    subscriber.subscribe("a", ExactlyOnce);
    for size in [0, 1, 100, 127, 128, 4095, 4096, 8192, 16_383, 16_384, 70_000, 3_000_000] {
        for qos in EVERY_QOS {
            let payload: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let publish = Publish { qos, ..Publish::new("a", payload.clone()) };
            publisher.publish_packet(publish);
            let received = subscriber.next_publish();
            assert!(received.payload == payload, "{size} bytes at {qos:?}");
            subscriber.acknowledge(&received);
        }
    }
}

#[test]
fn messages_keep_their_order() {
    let broker = TestBroker::start();
    let mut subscriber = Client::connect(broker.address(), V5, "subscriber");
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    subscriber.subscribe("a", ExactlyOnce);
    // [MQTT-4.6.0-5], [MQTT-4.6.0-6]
    for qos in EVERY_QOS {
        for number in 0..300_u16 {
            let publish = Publish {
                qos,
                packet_id: PacketId::new(number + 1).filter(|_| qos != AtMostOnce),
                ..Publish::new("a", number.to_string())
            };
            publisher.send(Packet::Publish(publish));
        }
        let mut released = 0;
        for number in 0..300_u16 {
            let received = loop {
                match subscriber.next() {
                    Packet::Publish(publish) => break publish,
                    Packet::PubRel(release) => {
                        released += 1;
                        subscriber.pubcomp(release.packet_id);
                    }
                    other => panic!("unexpected {other:?}"),
                }
            };
            assert_eq!(received.payload, number.to_string(), "{qos:?}");
            match received.qos {
                AtMostOnce => {}
                AtLeastOnce => subscriber.puback(received.packet_id.unwrap()),
                ExactlyOnce => subscriber.pubrec(received.packet_id.unwrap()),
            }
        }
        for number in 0..300_u16 {
            let Some(id) = PacketId::new(number + 1).filter(|_| qos != AtMostOnce) else { break };
            match qos {
                ExactlyOnce => {
                    assert_eq!(publisher.next_pubrec(id), ReasonCode::Success);
                    publisher.pubrel(id);
                }
                _ => assert_eq!(publisher.next_puback(id), ReasonCode::Success),
            }
        }
        if qos == ExactlyOnce {
            for number in 0..300_u16 {
                let id = PacketId::new(number + 1).unwrap();
                assert_eq!(publisher.next_pubcomp(id), ReasonCode::Success);
            }
            for _ in released..300 {
                let Packet::PubRel(released) = subscriber.next() else { panic!("no PUBREL") };
                subscriber.pubcomp(released.packet_id);
            }
        }
    }
}

#[test]
fn a_message_of_qos_2_that_is_sent_twice_is_delivered_once() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let mut subscriber = Client::connect(broker.address(), version, "subscriber");
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        subscriber.subscribe("a", AtMostOnce);
        let id = PacketId::new(7).unwrap();
        let publish =
            Publish { qos: ExactlyOnce, packet_id: Some(id), ..Publish::new("a", "once") };
        publisher.send(Packet::Publish(publish.clone()));
        assert_eq!(publisher.next_pubrec(id), ReasonCode::Success);
        publisher.send(Packet::Publish(Publish { dup: true, ..publish.clone() }));
        assert_eq!(publisher.next_pubrec(id), ReasonCode::Success);
        publisher.pubrel(id);
        assert_eq!(publisher.next_pubcomp(id), ReasonCode::Success);
        // [MQTT-4.3.3-10]: a second copy was not forwarded.
        assert_eq!(subscriber.next_message(), ("a".into(), "once".into()));
        subscriber.expect_nothing();
        // [MQTT-4.3.3-12]: after PUBREL the id stands for a new message.
        publisher.send(Packet::Publish(publish));
        assert_eq!(publisher.next_pubrec(id), ReasonCode::Success);
        assert_eq!(subscriber.next_message(), ("a".into(), "once".into()));
        publisher.pubrel(id);
        publisher.next_pubcomp(id);
        subscriber.disconnect();
        publisher.disconnect();
    }
}

#[test]
fn a_pubrel_for_nothing_is_answered_with_what_is_known_about_it() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    let id = PacketId::new(9).unwrap();
    client.pubrel(id);
    assert_eq!(client.next_pubcomp(id), ReasonCode::PacketIdentifierNotFound);
    client.pubrec(id);
    assert_eq!(client.next_pubrel(id), ReasonCode::PacketIdentifierNotFound);
    // Strays of the other kinds end nothing.
    client.puback(id);
    client.pubcomp(id);
    client.expect_nothing();
}

#[test]
fn what_was_not_acknowledged_is_sent_again_when_the_session_goes_on() {
    let broker = TestBroker::start();
    for version in [V311, V5] {
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        let mut subscriber = durable(&broker, version, false);
        subscriber.subscribe("a", ExactlyOnce);
        publisher.publish("a", "one", AtLeastOnce);
        publisher.publish("a", "two", ExactlyOnce);
        publisher.publish("a", "three", ExactlyOnce);
        let one = subscriber.next_publish();
        let two = subscriber.next_publish();
        let three = subscriber.next_publish();
        subscriber.pubrec(three.packet_id.unwrap());
        subscriber.next_pubrel(three.packet_id.unwrap());
        subscriber.vanish();

        let mut subscriber = durable(&broker, version, true);
        // [MQTT-4.4.0-1], [MQTT-4.6.0-1]: the same ids, in their order, with DUP
        // [MQTT-3.3.1-1], and the released one as PUBREL only.
        for expected in [&one, &two] {
            let again = subscriber.next_publish();
            assert!(again.dup);
            assert_eq!((again.packet_id, &again.payload), (expected.packet_id, &expected.payload));
        }
        subscriber.next_pubrel(three.packet_id.unwrap());
        subscriber.puback(one.packet_id.unwrap());
        subscriber.pubrec(two.packet_id.unwrap());
        subscriber.next_pubrel(two.packet_id.unwrap());
        subscriber.pubcomp(two.packet_id.unwrap());
        subscriber.pubcomp(three.packet_id.unwrap());
        subscriber.expect_nothing();
        subscriber.disconnect();

        let mut subscriber = durable(&broker, version, true);
        subscriber.expect_nothing();
        subscriber.disconnect();
        // Leaves nothing behind for the next version.
        Client::connect(broker.address(), version, "subscriber").disconnect();
    }
}

#[test]
fn messages_of_qos_1_and_2_wait_for_a_session_without_a_connection() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        let mut subscriber = durable(&broker, version, false);
        subscriber.subscribe("a", ExactlyOnce);
        subscriber.disconnect();
        publisher.publish("a", "zero", AtMostOnce);
        publisher.publish("a", "one", AtLeastOnce);
        publisher.publish("a", "two", ExactlyOnce);
        let mut subscriber = durable(&broker, version, version != ProtocolVersion::V31);
        for payload in ["one", "two"] {
            let received = subscriber.next_publish();
            assert_eq!(received.payload, payload);
            assert!(!received.dup, "it was never sent before");
            subscriber.acknowledge(&received);
        }
        subscriber.expect_nothing();
        subscriber.disconnect();
        Client::connect(broker.address(), version, "subscriber").disconnect();
    }
}

#[test]
fn no_more_is_in_flight_than_the_client_allows() {
    let broker = TestBroker::start();
    let mut connect = Connect::new(V5, "subscriber");
    connect.properties = values(|values| values.receive_maximum = Some(2));
    let (mut subscriber, _) = Client::connect_with(broker.address(), connect);
    subscriber.subscribe("a", ExactlyOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for number in 0..5 {
        publisher.publish("a", &number.to_string(), AtLeastOnce);
    }
    publisher.publish("a", "QoS 0 needs no place", AtMostOnce);
    let first = subscriber.next_publish();
    let second = subscriber.next_publish();
    // [MQTT-3.3.4-9]
    let zero = subscriber.next_publish();
    assert_eq!(zero.qos, AtMostOnce);
    subscriber.expect_nothing();
    subscriber.acknowledge(&first);
    let third = subscriber.next_publish();
    assert_eq!(third.payload, "2");
    subscriber.expect_nothing();
    // A PUBREC that says no frees its place too [MQTT-4.9.0-3].
    subscriber.acknowledge(&second);
    subscriber.acknowledge(&third);
    assert_eq!(subscriber.next_publish().payload, "3");
    assert_eq!(subscriber.next_publish().payload, "4");
    subscriber.expect_nothing();
}

#[test]
fn a_pubrec_that_says_no_ends_the_exchange() {
    let broker = TestBroker::start();
    let mut connect = Connect::new(V5, "subscriber");
    connect.properties = values(|values| values.receive_maximum = Some(1));
    let (mut subscriber, _) = Client::connect_with(broker.address(), connect);
    subscriber.subscribe("a", ExactlyOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.publish("a", "unwanted", ExactlyOnce);
    publisher.publish("a", "next", ExactlyOnce);
    let id = subscriber.next_publish().packet_id.unwrap();
    subscriber.send(Packet::PubRec(PubRec::new(id, ReasonCode::UnspecifiedError)));
    // [MQTT-4.3.3-4]: no PUBREL, and the place is free.
    assert_eq!(subscriber.next_publish().payload, "next");
}

#[test]
fn a_publisher_beyond_the_receive_maximum_is_disconnected() {
    let options = Options { receive_maximum: 3, ..Options::default() };
    let broker = TestBroker::with_options(options);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let publish = |number| {
        let packet_id = PacketId::new(number);
        Packet::Publish(Publish { qos: ExactlyOnce, packet_id, ..Publish::new("a", "b") })
    };
    for number in 1..=3 {
        publisher.send(publish(number));
        publisher.next_pubrec(PacketId::new(number).unwrap());
    }
    publisher.send(publish(4));
    // [MQTT-3.3.4-7]
    publisher.expect_disconnect(ReasonCode::ReceiveMaximumExceeded);
}

#[test]
fn who_publishes_to_nobody_is_told_so() {
    let broker = TestBroker::start();
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    // MQTT 5, 3.4.2.1
    assert_eq!(publisher.publish("a", "b", AtLeastOnce), ReasonCode::NoMatchingSubscribers);
    assert_eq!(publisher.publish("a", "b", ExactlyOnce), ReasonCode::NoMatchingSubscribers);
    publisher.subscribe("a", AtMostOnce);
    publisher.send(Packet::Publish(Publish {
        qos: AtLeastOnce,
        packet_id: PacketId::new(99),
        ..Publish::new("a", "b")
    }));
    let mut reason = None;
    while reason.is_none() {
        match publisher.next() {
            Packet::PubAck(ack) => reason = Some(ack.reason),
            Packet::Publish(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(reason, Some(ReasonCode::Success));
}

#[test]
fn a_message_that_expired_while_it_waited_is_not_sent() {
    let broker = TestBroker::start();
    let mut subscriber = durable(&broker, V5, false);
    subscriber.subscribe("#", AtLeastOnce);
    subscriber.disconnect();
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for (topic, seconds) in [("short", 1), ("long", 600)] {
        publisher.publish_packet(Publish {
            qos: AtLeastOnce,
            properties: values(|values| values.message_expiry_interval = Some(seconds)),
            ..Publish::new(topic, "b")
        });
    }
    // The time that the message is given is what this test is about.
    std::thread::sleep(std::time::Duration::from_millis(1300));
    let mut subscriber = durable(&broker, V5, true);
    let received = subscriber.next_publish();
    // [MQTT-3.3.2-5]
    assert_eq!(received.topic, "long");
    // [MQTT-3.3.2-6]: what is left.
    let left = received.properties.message_expiry_interval.unwrap();
    assert!((590..600).contains(&left), "{left}");
    assert_eq!(broker.counters().dropped_expired, 1);
}

#[test]
fn malformed_publishes_end_the_connection_with_the_reason() {
    let broker = TestBroker::start();
    let cases: [(&[u8], ReasonCode); 5] = [
        // [MQTT-3.3.1-4] QoS 3
        (&[0x36, 6, 0, 1, b'a', 0, 1, 0], ReasonCode::MalformedPacket),
        // [MQTT-3.3.1-2] DUP with QoS 0
        (&[0x38, 4, 0, 1, b'a', 0], ReasonCode::MalformedPacket),
        // [MQTT-3.3.2-2] a wildcard
        (&[0x30, 4, 0, 1, b'#', 0], ReasonCode::TopicNameInvalid),
        // [MQTT-2.2.1-3] packet id 0
        (&[0x32, 6, 0, 1, b'a', 0, 0, 0], ReasonCode::ProtocolError),
        // no topic, no alias
        (&[0x30, 3, 0, 0, 0], ReasonCode::ProtocolError),
    ];
    for (bytes, reason) in cases {
        let mut client = Client::connect(broker.address(), V5, "client");
        client.send_bytes(bytes);
        match client.try_next() {
            Some(Packet::Disconnect(disconnect)) => {
                let allowed = [reason, ReasonCode::MalformedPacket, ReasonCode::ProtocolError];
                assert!(allowed.contains(&disconnect.reason), "{bytes:?}: {disconnect:?}");
            }
            other => panic!("expected DISCONNECT for {bytes:?}, received {other:?}"),
        }
        client.expect_closed();
    }
}

/// A session that waits for its client, gone on with or begun.
fn durable(broker: &TestBroker, version: ProtocolVersion, present: bool) -> Client {
    let mut connect = Connect { clean_start: false, ..Connect::new(version, "subscriber") };
    if version == V5 {
        connect.properties = values(|values| values.session_expiry_interval = Some(600));
    }
    let (client, connack) = Client::connect_with(broker.address(), connect);
    assert_eq!(connack.session_present, present);
    client
}
