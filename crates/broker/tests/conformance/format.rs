//! The format of packets (MQTT 5.0 and 3.1.1, chapter 2).

use std::collections::BTreeSet;

use latchlight_mqtt::{Packet, PacketId, ProtocolVersion, QoS, ReasonCode};

use crate::bytes::{STANDARDS, connect, field, packet, publish, subscribe, unsubscribe};
use crate::support::{Client, TestBroker};
use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// 5.0: [MQTT-2.1.3-1], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1],
/// [MQTT-3.14.1-1], [MQTT-3.15.1-1];
/// 3.1.1: [MQTT-2.2.2-2], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1],
/// [MQTT-3.14.1-1].
#[test]
fn reserved_flags_of_another_value_close_the_connection() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut packets = vec![
            ("PUBACK", packet(0x40, &[0, 1])),
            ("PUBREC", packet(0x50, &[0, 1])),
            ("PUBREL", packet(0x62, &[0, 1])),
            ("PUBCOMP", packet(0x70, &[0, 1])),
            ("SUBSCRIBE", subscribe(version, 1, "a", 0)),
            ("UNSUBSCRIBE", unsubscribe(version, 1, "a")),
            ("PINGREQ", packet(0xC0, &[])),
            ("DISCONNECT", packet(0xE0, &[])),
        ];
        if version == V5 {
            packets.push(("AUTH", packet(0xF0, &[])));
        }
        for (name, good) in packets {
            for flags in (0..16).filter(|flags| *flags != good[0] & 0x0F) {
                let mut client = Client::connect(broker.address(), version, "client");
                let mut bytes = good.clone();
                bytes[0] = good[0] & 0xF0 | flags;
                client.send_bytes(&bytes);
                let after = format!("{name} with the flags {flags:04b}");
                client.expect_cut(version, &[ReasonCode::MalformedPacket], &after);
            }
        }
        for flags in 1..16 {
            let mut client = Client::open(broker.address(), version);
            let mut bytes = connect(version, 0x02, &[field("client")]);
            bytes[0] |= flags;
            client.send_bytes(&bytes);
            client.expect_not_let_in("CONNECT with flags");
        }
    }
}

/// What the server says besides PUBLISH, to the last byte.
///
/// 5.0: [MQTT-2.1.3-1], [MQTT-2.2.1-5], [MQTT-2.2.1-6], [MQTT-2.2.2-1],
/// [MQTT-3.2.2-1], [MQTT-3.8.4-2], [MQTT-3.10.4-5], [MQTT-3.12.4-1];
/// 3.1.1: [MQTT-2.2.2-1], [MQTT-2.3.1-6], [MQTT-2.3.1-7], [MQTT-3.8.4-2],
/// [MQTT-3.10.4-4], [MQTT-3.12.4-1].
#[test]
fn the_servers_packets_have_their_exact_bytes() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let v5 = version == V5;
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.subscribe("a", ExactlyOnce);
        let mut client = Client::open(broker.address(), version);
        client.send_bytes(&connect(version, 0x02, &[field("client")]));
        let connack = client.next_bytes();
        match v5 {
            true => assert_eq!([connack[0], connack[2], connack[3]], [0x20, 0, 0]),
            false => assert_eq!(connack, [0x20, 2, 0, 0]),
        }
        let answers: [(Vec<u8>, &[u8], &[u8]); 7] = [
            (
                subscribe(version, 0x1234, "b", 2),
                &[0x90, 3, 0x12, 0x34, 2],
                &[0x90, 4, 0x12, 0x34, 0, 2],
            ),
            (
                unsubscribe(version, 0x4321, "b"),
                &[0xB0, 2, 0x43, 0x21],
                &[0xB0, 4, 0x43, 0x21, 0, 0],
            ),
            (
                unsubscribe(version, 0x4321, "b"),
                &[0xB0, 2, 0x43, 0x21],
                &[0xB0, 4, 0x43, 0x21, 0, 0x11],
            ),
            (
                publish(version, 0x32, "a", 0xABCD, "1"),
                &[0x40, 2, 0xAB, 0xCD],
                &[0x40, 2, 0xAB, 0xCD],
            ),
            (
                publish(version, 0x34, "a", 0x0102, "2"),
                &[0x50, 2, 0x01, 0x02],
                &[0x50, 2, 0x01, 0x02],
            ),
            (packet(0x62, &[0x01, 0x02]), &[0x70, 2, 0x01, 0x02], &[0x70, 2, 0x01, 0x02]),
            (packet(0xC0, &[]), &[0xD0, 0], &[0xD0, 0]),
        ];
        for (said, old, new) in answers {
            client.send_bytes(&said);
            assert_eq!(client.next_bytes(), if v5 { new } else { old }, "to {said:x?}");
        }
        reader.next_publish();
        let publish = reader.next_publish();
        let id = publish.packet_id.unwrap();
        reader.pubrec(id);
        let [high, low] = id.get().to_be_bytes();
        assert_eq!(reader.next_bytes(), [0x62, 2, high, low]);
        if v5 {
            client.send_bytes(&connect(version, 0x02, &[field("client")]));
            let disconnect = client.next_bytes();
            assert_eq!([disconnect[0], disconnect[2]], [0xE0, 0x82]);
        }
    }
}

/// 5.0: [MQTT-2.2.1-2];
/// 3.1.1: [MQTT-2.3.1-5].
#[test]
fn a_publish_of_qos_0_has_no_packet_id() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.subscribe("a", ExactlyOnce);
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        // What could be an id is the payload.
        publisher.send_bytes(&publish(version, 0x30, "a", 0, "\u{1}\u{2}x"));
        assert_eq!(reader.next_bytes(), publish(version, 0x30, "a", 0, "\u{1}\u{2}x"));
        // Nor has one that was lowered to QoS 0.
        reader.subscribe("a", AtMostOnce);
        publisher.publish("a", "lowered", ExactlyOnce);
        assert_eq!(reader.next_bytes(), publish(version, 0x30, "a", 0, "lowered"));
    }
}

/// 5.0: [MQTT-2.2.1-3];
/// 3.1.1: [MQTT-2.3.1-1].
#[test]
fn a_packet_id_of_0_closes_the_connection() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        for (name, bytes) in [
            ("PUBLISH of QoS 1", publish(version, 0x32, "a", 0, "x")),
            ("PUBLISH of QoS 2", publish(version, 0x34, "a", 0, "x")),
            ("SUBSCRIBE", subscribe(version, 0, "a", 0)),
            ("UNSUBSCRIBE", unsubscribe(version, 0, "a")),
        ] {
            let mut client = Client::connect(broker.address(), version, "client");
            client.send_bytes(&bytes);
            let reasons = [ReasonCode::ProtocolError, ReasonCode::MalformedPacket];
            client.expect_cut(version, &reasons, name);
        }
    }
}

/// Through all 65,535 of them, past one that stays open.
///
/// 5.0: [MQTT-2.2.1-4], [MQTT-4.3.2-1], [MQTT-4.3.3-1];
/// 3.1.1: [MQTT-2.3.1-4].
#[test]
fn the_servers_packet_ids_are_unused_ones() {
    const BATCH: usize = 1000;
    let broker = TestBroker::start();
    let mut reader = Client::connect(broker.address(), V311, "reader");
    reader.subscribe("a", ExactlyOnce);
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    publisher.publish("a", "stays open", ExactlyOnce);
    let stays = reader.next_publish().packet_id.unwrap();
    let mut seen = BTreeSet::from([stays]);
    let batch = publish(V311, 0x32, "a", 1, "").repeat(BATCH);
    for _ in 0..66 {
        publisher.send_bytes(&batch);
        let mut open: BTreeSet<PacketId> = [stays].into();
        let mut acks = Vec::new();
        for _ in 0..BATCH {
            assert_eq!(publisher.next_bytes(), [0x40, 2, 0, 1]);
            let id = reader.next_publish().packet_id.unwrap();
            assert!(open.insert(id), "{id:?} is in use");
            acks.extend(packet(0x40, &id.get().to_be_bytes()));
        }
        seen.extend(open);
        reader.send_bytes(&acks);
    }
    assert_eq!(seen.len(), 65_535, "all of them were used");
    // QoS 1 and 2 share them.
    publisher.publish("a", "next", ExactlyOnce);
    let next = reader.next_publish();
    assert_eq!(next.qos, ExactlyOnce);
    assert_ne!(next.packet_id, Some(stays));
    reader.pubrec(stays);
    assert!(matches!(reader.next(), Packet::PubRel(rel) if rel.packet_id == stays));
}

/// What is shorter or longer than its fields is no packet.
///
/// 5.0: [MQTT-4.13.1-1];
/// 3.1.1: [MQTT-4.8.0-1].
#[test]
fn packets_that_do_not_end_with_their_fields_close_the_connection() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        for (name, good) in [
            ("PUBACK", packet(0x40, &[0, 1])),
            ("SUBSCRIBE", subscribe(version, 1, "a", 0)),
            ("UNSUBSCRIBE", unsubscribe(version, 1, "a")),
            ("PUBLISH", publish(version, 0x32, "a", 1, "")),
        ] {
            for cut in 2..good.len() {
                let mut bytes = good[..cut].to_vec();
                bytes[1] = bytes.len() as u8 - 2;
                let mut client = Client::connect(broker.address(), version, "client");
                client.send_bytes(&bytes);
                let reasons = [ReasonCode::MalformedPacket, ReasonCode::ProtocolError];
                client.expect_cut(version, &reasons, &format!("{name}, {bytes:x?}"));
            }
        }
        for good in [packet(0xC0, &[0]), packet(0x40, &[0, 1, 0, 0, 0]), packet(0x00, &[])] {
            let mut client = Client::connect(broker.address(), version, "client");
            client.send_bytes(&good);
            client.expect_cut(version, &[ReasonCode::MalformedPacket], "more than its fields");
        }
    }
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    assert_eq!(
        publisher.publish("a", "all is well", AtLeastOnce),
        ReasonCode::NoMatchingSubscribers
    );
}
