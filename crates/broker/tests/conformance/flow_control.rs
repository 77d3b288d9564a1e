//! What a client takes at once, and how large (MQTT 5.0, 3.1.2.11.3,
//! 3.1.2.11.4 and 4.9).

use latchlight_broker::Options;
use latchlight_mqtt::{Connect, Packet, ProtocolVersion, PubRec, Publish, QoS, ReasonCode};

use crate::bytes::{STANDARDS, field, packet, properties, publish};
use crate::support::{Client, TestBroker, resuming};
use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// 5.0: [MQTT-3.3.4-9], [MQTT-3.3.4-10], [MQTT-4.9.0-1], [MQTT-4.9.0-2],
/// [MQTT-4.9.0-3].
#[test]
fn no_more_is_open_towards_a_client_than_it_takes() {
    let broker = TestBroker::start();
    for most in [1, 2, 5] {
        let mut connect = resuming(V5, "reader");
        connect.properties.make_mut().receive_maximum = Some(most);
        let mut reader = Client::connect_with(broker.address(), connect.clone()).0;
        reader.subscribe("a", ExactlyOnce);
        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        for number in 0..4 * most {
            let qos = [AtLeastOnce, ExactlyOnce][usize::from(number % 2)];
            publisher.publish("a", &number.to_string(), qos);
        }
        let mut open: Vec<_> = (0..most).map(|_| reader.next_publish()).collect();
        // Everything else goes on: answers, QoS 0, the client's own messages.
        reader.expect_nothing();
        publisher.publish("a", "at once", AtMostOnce);
        assert_eq!(reader.next_message().1, "at once");
        assert_eq!(reader.publish("b", "x", ExactlyOnce), ReasonCode::NoMatchingSubscribers);
        reader.subscribe("c", AtMostOnce);
        // PUBREC gives nothing back unless it refuses; PUBACK and PUBCOMP do.
        for number in most..4 * most {
            let first = open.remove(0);
            let id = first.packet_id.unwrap();
            match first.qos {
                ExactlyOnce if number % 3 == 0 => {
                    let reason = ReasonCode::ImplementationSpecificError;
                    reader.send(Packet::PubRec(PubRec::new(id, reason)));
                }
                ExactlyOnce => {
                    reader.pubrec(id);
                    reader.next_pubrel(id);
                    reader.expect_nothing();
                    reader.pubcomp(id);
                }
                _ => reader.puback(id),
            }
            open.push(reader.next_publish());
            reader.expect_nothing();
        }
        // Nor is more sent again at once.
        reader.vanish();
        let mut reader = Client::connect_with(broker.address(), connect).0;
        let again: Vec<_> = open.iter().map(|_| reader.next_publish()).collect();
        reader.expect_nothing();
        for (first, again) in open.iter().zip(&again) {
            assert_eq!((again.packet_id, again.dup), (first.packet_id, true));
            reader.acknowledge(again);
        }
        reader.expect_nothing();
        Client::connect(broker.address(), V5, "reader").disconnect();
    }
}

/// 5.0: [MQTT-3.1.2-24], [MQTT-3.1.2-25].
#[test]
fn nothing_larger_than_a_client_takes_is_sent() {
    const MOST: usize = 100;
    let broker = TestBroker::start();
    for durable in [false, true] {
        let mut connect = if durable { resuming(V5, "reader") } else { Connect::new(V5, "reader") };
        let values = connect.properties.make_mut();
        values.maximum_packet_size = Some(MOST as u32);
        values.receive_maximum = Some(1);
        let mut reader = Client::connect_with(broker.address(), connect.clone()).0;
        reader.subscribe("a", ExactlyOnce);
        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
            let first = 0x30 | (qos as u8) << 1;
            let fits = MOST - publish(V5, first, "a", 1, "").len();
            for (length, comes) in
                [(fits + 1, false), (fits, true), (fits * 20, false), (fits, true)]
            {
                publisher.publish("a", &"x".repeat(length), qos);
                if comes {
                    let received = reader.next_publish();
                    assert_eq!((received.qos, received.payload.len()), (qos, length));
                    // As if the others had been sent: they take no place.
                    reader.acknowledge(&received);
                }
                reader.expect_nothing();
            }
        }
        if durable {
            // The same of what waited, and of a client that takes less than before.
            publisher.publish("a", "open", AtLeastOnce);
            publisher.publish("a", &"x".repeat(MOST), AtLeastOnce);
            publisher.publish("a", "waited", AtLeastOnce);
            reader.next_publish();
            reader.vanish();
            let mut reader = Client::connect_with(broker.address(), connect).0;
            for _ in 0..2 {
                let received = reader.next_publish();
                assert!(["open", "waited"].iter().any(|payload| received.payload == *payload));
                reader.acknowledge(&received);
            }
            reader.expect_nothing();
        }
        Client::connect(broker.address(), V5, "reader").disconnect();
    }
}

/// Not only messages have a size.
///
/// 5.0: [MQTT-3.1.2-24].
#[test]
fn no_answer_is_larger_than_a_client_takes() {
    let broker = TestBroker::start();
    let most = |size: u8| [&[0x27, 0, 0, 0][..], &[size]].concat();
    let mut let_in = 0;
    for size in 1..40 {
        let head = [field("MQTT"), vec![5, 0x02, 0, 60], properties(V5, &most(size))].concat();
        let mut client = Client::open(broker.address(), V5);
        client.send_bytes(&packet(0x10, &[head, field("client")].concat()));
        let Some(connack) = client.try_next_bytes() else { continue };
        assert!(connack.len() <= usize::from(size));
        if connack[3] != 0 {
            assert_eq!(connack, [0x20, 3, 0, 0x95, 0]);
            client.expect_closed();
            continue;
        }
        let_in += 1;
        // The answers to these would have 45 bytes.
        let many = |first, count: usize, field: Vec<u8>| {
            packet(first, &[vec![0, 1], vec![0], field.repeat(count)].concat())
        };
        client.send_bytes(&many(0x82, 40, [field("a"), vec![0]].concat()));
        client.send_bytes(&many(0xA2, 40, field("b")));
        client.send_bytes(&packet(0xC0, &[]));
        assert_eq!(client.next_bytes(), [0xD0, 0]);
        // One that fits is answered.
        client.send_bytes(&many(0x82, 1, [field("a"), vec![0]].concat()));
        assert_eq!(client.next_bytes(), [0x90, 4, 0, 1, 0, 0]);
    }
    assert!(let_in > 0);
}

/// 5.0: [MQTT-3.2.2-15].
#[test]
fn nothing_larger_than_the_server_takes_is_taken() {
    const MOST: usize = 200;
    let options = Options { max_packet_size: MOST as u32, ..Options::default() };
    let broker = TestBroker::with_options(options);
    for version in STANDARDS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.subscribe("a", AtMostOnce);
        let mut client = Client::open(broker.address(), version);
        client.send(Packet::Connect(Box::new(Connect::new(version, "client"))));
        let Packet::ConnAck(connack) = client.next() else { panic!("no CONNACK") };
        let told = if version == V311 { None } else { Some(MOST as u32) };
        assert_eq!(connack.properties.maximum_packet_size, told);
        let fits = MOST - publish(version, 0x30, "a", 0, "").len() - 1;
        client.send_bytes(&publish(version, 0x30, "a", 0, &"x".repeat(fits)));
        assert_eq!(reader.next_publish().payload.len(), fits);
        client.send_bytes(&publish(version, 0x30, "a", 0, &"x".repeat(fits + 1)));
        client.expect_disconnect(ReasonCode::PacketTooLarge);
        reader.expect_nothing();
    }
    let mut client = Client::connect(broker.address(), V5, "client");
    let large = Publish::new("a", "x".repeat(MOST));
    client.send(Packet::Publish(large));
    client.expect_disconnect(ReasonCode::PacketTooLarge);
}
