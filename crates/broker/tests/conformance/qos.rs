//! The delivery of each QoS, what is sent again, and the order (MQTT 5.0 and
//! 3.1.1, 4.3 to 4.6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{Access, ClientInfo, ConnectRequest, Options, PublishRequest, Refusal};
use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion, PubAck, PubRec, Publish, QoS, ReasonCode,
};

use crate::bytes::{STANDARDS, publish};
use crate::support::{Client, TestBroker, resuming};
use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// What a message is answered with, and how it is sent on; nothing that came
/// in decides of DUP.
///
/// 5.0: [MQTT-3.3.1-2], [MQTT-3.3.1-3], [MQTT-3.3.4-1], [MQTT-4.3.1-1],
/// [MQTT-4.3.2-2], [MQTT-4.3.2-4], [MQTT-4.3.3-2], [MQTT-4.3.3-8],
/// [MQTT-4.3.3-11];
/// 3.1.1: [MQTT-3.3.1-2], [MQTT-3.3.1-3], [MQTT-3.3.4-1], [MQTT-4.3.1-1].
#[test]
fn each_qos_has_its_answers() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.subscribe("a", ExactlyOnce);
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        for (first, qos) in [
            (0x30, AtMostOnce),
            (0x32, AtLeastOnce),
            (0x3A, AtLeastOnce),
            (0x34, ExactlyOnce),
            (0x3C, ExactlyOnce),
        ] {
            let id = publisher.next_id();
            publisher.send_bytes(&publish(version, first, "a", id.get(), "x"));
            match qos {
                AtMostOnce => publisher.expect_nothing(),
                AtLeastOnce => assert_eq!(publisher.next_puback(id), ReasonCode::Success),
                ExactlyOnce => {
                    assert_eq!(publisher.next_pubrec(id), ReasonCode::Success);
                    publisher.pubrel(id);
                    assert_eq!(publisher.next_pubcomp(id), ReasonCode::Success);
                }
            }
            let received = reader.next_publish();
            assert_eq!((received.qos, received.dup), (qos, false), "{first:x}");
            assert_eq!(received.packet_id.is_some(), qos != AtMostOnce);
            reader.acknowledge(&received);
        }
        reader.expect_nothing();
    }
}

/// 5.0: [MQTT-3.3.1-2], [MQTT-3.3.1-4];
/// 3.1.1: [MQTT-3.3.1-2], [MQTT-3.3.1-4].
#[test]
fn a_publish_of_qos_3_or_of_qos_0_with_dup_closes_the_connection() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        for first in [0x36, 0x37, 0x3E, 0x3F, 0x38, 0x39] {
            let mut client = Client::connect(broker.address(), version, "client");
            client.send_bytes(&publish(version, first, "a", 1, "x"));
            client.expect_cut(version, &[ReasonCode::MalformedPacket], &format!("{first:x}"));
        }
    }
}

/// 5.0: [MQTT-4.3.2-5];
/// 3.1.1: [MQTT-4.3.2-2].
#[test]
fn after_puback_the_id_stands_for_a_new_message() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.subscribe("a", AtMostOnce);
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        for (first, payload) in [(0x32, "1"), (0x3A, "2"), (0x32, "3")] {
            publisher.send_bytes(&publish(version, first, "a", 7, payload));
            publisher.next_puback(PacketId::new(7).unwrap());
            assert_eq!(reader.next_message().1, payload);
        }
    }
}

/// 5.0: [MQTT-4.3.3-10], [MQTT-4.3.3-11], [MQTT-4.3.3-12];
/// 3.1.1: [MQTT-4.3.3-2].
#[test]
fn until_pubrel_the_same_id_is_the_same_message() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let id = PacketId::new(7).unwrap();
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.subscribe("a", AtMostOnce);
        let mut publisher = Client::connect_with(broker.address(), resuming(version, "pub")).0;
        for first in [0x34, 0x3C, 0x34] {
            publisher.send_bytes(&publish(version, first, "a", 7, "once"));
            assert_eq!(publisher.next_pubrec(id), ReasonCode::Success);
        }
        // So it is after a reconnection.
        publisher.vanish();
        let mut publisher = Client::connect_with(broker.address(), resuming(version, "pub")).0;
        publisher.send_bytes(&publish(version, 0x3C, "a", 7, "once"));
        assert_eq!(publisher.next_pubrec(id), ReasonCode::Success);
        assert_eq!(reader.next_message().1, "once");
        reader.expect_nothing();
        publisher.pubrel(id);
        assert_eq!(publisher.next_pubcomp(id), ReasonCode::Success);
        publisher.send_bytes(&publish(version, 0x3C, "a", 7, "new"));
        assert_eq!(publisher.next_pubrec(id), ReasonCode::Success);
        assert_eq!(reader.next_message().1, "new");
        publisher.pubrel(id);
        assert_eq!(publisher.next_pubcomp(id), ReasonCode::Success);
        // A second PUBREL is answered, too, with what is known of it.
        publisher.pubrel(id);
        let unknown = ReasonCode::PacketIdentifierNotFound;
        let expected = if version == V5 { unknown } else { ReasonCode::Success };
        assert_eq!(publisher.next_pubcomp(id), expected);
        Client::connect(broker.address(), version, "pub").disconnect();
    }
}

/// What is not acknowledged is sent again when its client is back: the same
/// ids, in the same order, with DUP, from where it was; and not before.
///
/// 5.0: [MQTT-3.3.1-1], [MQTT-4.3.2-3], [MQTT-4.3.3-3], [MQTT-4.3.3-4],
/// [MQTT-4.3.3-5], [MQTT-4.3.3-6], [MQTT-4.4.0-1];
/// 3.1.1: [MQTT-2.3.1-4], [MQTT-3.3.1-1], [MQTT-4.3.2-1], [MQTT-4.3.3-1],
/// [MQTT-4.4.0-1], [MQTT-4.6.0-1].
#[test]
fn what_is_open_is_sent_again_when_the_client_is_back() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut reader = Client::connect_with(broker.address(), resuming(version, "reader")).0;
        reader.subscribe("a", ExactlyOnce);
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        let qos = [AtLeastOnce, ExactlyOnce, ExactlyOnce, AtLeastOnce, ExactlyOnce];
        for (number, qos) in qos.into_iter().enumerate() {
            publisher.publish("a", &number.to_string(), qos);
        }
        let first = qos.map(|_| reader.next_publish());
        for (number, received) in first.iter().enumerate() {
            assert_eq!((received.dup, received.qos), (false, qos[number]));
        }
        let id = |number: usize| first[number].packet_id.unwrap();
        let ids: BTreeSet<_> = (0..5).map(id).collect();
        assert_eq!(ids.len(), 5, "none is in use twice");
        // 1 is released, 3 is done, 4 is complete.
        reader.pubrec(id(1));
        reader.next_pubrel(id(1));
        reader.puback(id(3));
        reader.acknowledge(&first[4]);
        // Nothing is sent again in the same connection, whatever is asked.
        for _ in 0..3 {
            reader.expect_nothing();
        }
        for _ in 0..2 {
            reader.vanish();
            reader = Client::connect_with(broker.address(), resuming(version, "reader")).0;
            assert_again(&mut reader, &first[0]);
            assert_eq!(reader.next_pubrel(id(1)), ReasonCode::Success);
            assert_again(&mut reader, &first[2]);
            reader.expect_nothing();
        }
        reader.pubcomp(id(1));
        reader.puback(id(0));
        reader.acknowledge(&first[2]);
        reader.expect_nothing();
        reader.vanish();
        let mut reader = Client::connect_with(broker.address(), resuming(version, "reader")).0;
        reader.expect_nothing();
        reader.disconnect();
        Client::connect(broker.address(), version, "reader").disconnect();
    }
}

fn assert_again(reader: &mut Client, first: &Publish) {
    let again = reader.next_publish();
    assert_eq!(again, Publish { dup: true, ..first.clone() });
}

/// 5.0: [MQTT-4.4.0-2], [MQTT-4.3.3-4].
#[test]
fn what_the_client_refuses_is_not_sent_again() {
    let broker = TestBroker::start();
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.subscribe("a", ExactlyOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for qos in [AtLeastOnce, ExactlyOnce] {
        publisher.publish("a", "x", qos);
    }
    let (one, two) = (reader.next_publish(), reader.next_publish());
    let reason = ReasonCode::NotAuthorized;
    reader.send(Packet::PubAck(PubAck::new(one.packet_id.unwrap(), reason)));
    reader.send(Packet::PubRec(PubRec::new(two.packet_id.unwrap(), reason)));
    reader.expect_nothing();
    reader.vanish();
    let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
    reader.expect_nothing();
}

/// Nobody may publish to `locked`.
struct Locked;

#[async_trait]
impl Access for Locked {
    async fn authenticate(&self, _: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok("anyone".into())
    }

    fn authorize_publish(
        &self,
        _: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        match request.topic {
            "locked" => Err(Refusal::Ignore(ReasonCode::NotAuthorized)),
            "closed" => Err(Refusal::Disconnect(ReasonCode::NotAuthorized)),
            // A hook's reason that no acknowledgement has.
            "strange" => Err(Refusal::Ignore(ReasonCode::Banned)),
            _ => Ok(()),
        }
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }
}

/// 5.0: [MQTT-4.3.3-9], [MQTT-3.4.2-1], [MQTT-3.5.2-1].
#[test]
fn after_a_pubrec_that_refuses_the_id_stands_for_a_new_message() {
    let broker = TestBroker::with_access(Locked);
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("#", AtMostOnce);
    let mut client = Client::connect(broker.address(), V5, "client");
    let id = PacketId::new(7).unwrap();
    for _ in 0..2 {
        client.send_bytes(&publish(V5, 0x34, "locked", 7, "x"));
        assert_eq!(client.next_pubrec(id), ReasonCode::NotAuthorized);
    }
    client.send_bytes(&publish(V5, 0x34, "open", 7, "new"));
    assert_eq!(client.next_pubrec(id), ReasonCode::Success);
    assert_eq!(reader.next_message(), ("open".into(), "new".into()));
    for (first, answer) in [(0x32, 0x40), (0x34, 0x50)] {
        client.send_bytes(&publish(V5, first, "strange", 8, "x"));
        assert_eq!(client.next_bytes(), [answer, 3, 0, 8, 0x80]);
    }
    // What there is no room for is refused in the same way.
    let options = Options { max_retained_messages: 0, ..Options::default() };
    let broker = TestBroker::with_options(options);
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("#", AtMostOnce);
    let mut client = Client::connect(broker.address(), V5, "client");
    client.send_bytes(&publish(V5, 0x35, "kept", 7, "x"));
    assert_eq!(client.next_pubrec(id), ReasonCode::QuotaExceeded);
    client.send_bytes(&publish(V5, 0x34, "open", 7, "new"));
    assert_eq!(client.next_pubrec(id), ReasonCode::Success);
    assert_eq!(reader.next_message(), ("open".into(), "new".into()));
}

/// 3.1.1: [MQTT-3.3.5-2].
#[test]
fn who_may_not_publish_is_acknowledged_or_disconnected() {
    let broker = TestBroker::with_access(Locked);
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("#", AtMostOnce);
    for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
        let version = ProtocolVersion::V311;
        let mut client = Client::connect(broker.address(), version, "client");
        assert_eq!(client.publish("locked", "x", qos), ReasonCode::Success);
        let id = client.next_id().get();
        client.send_bytes(&publish(version, 0x30 | (qos as u8) << 1, "closed", id, "x"));
        client.expect_closed();
        reader.expect_nothing();
    }
}

/// 5.0: [MQTT-4.6.0-5], [MQTT-4.6.0-6];
/// 3.1.1: [MQTT-4.6.0-5], [MQTT-4.6.0-6].
#[test]
fn messages_keep_their_order_on_every_topic() {
    const COUNT: usize = 300;
    let broker = TestBroker::start();
    for version in STANDARDS {
        // A window of one message makes the others wait.
        let mut connect = Connect::new(version, "reader");
        if version == V5 {
            connect.properties.make_mut().receive_maximum = Some(1);
        }
        let mut reader = Client::connect_with(broker.address(), connect).0;
        reader.subscribe("#", ExactlyOnce);
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        for number in 0..COUNT {
            let first = 0x30 | ((number % 3) as u8) << 1;
            let topic = ["a", "b/c"][number % 2];
            publisher.send_bytes(&publish(
                version,
                first,
                topic,
                number as u16 + 1,
                &number.to_string(),
            ));
        }
        let mut seen: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        while seen.values().map(Vec::len).sum::<usize>() < COUNT {
            let received = match reader.next() {
                Packet::Publish(received) => received,
                Packet::PubRel(release) => {
                    reader.pubcomp(release.packet_id);
                    continue;
                }
                other => panic!("unexpected {other:?}"),
            };
            let number = std::str::from_utf8(&received.payload).unwrap().parse().unwrap();
            seen.entry((received.topic.to_string(), received.qos as u8)).or_default().push(number);
            match (received.qos, received.packet_id) {
                (AtLeastOnce, Some(id)) => reader.puback(id),
                (ExactlyOnce, Some(id)) => reader.pubrec(id),
                _ => {}
            }
        }
        for (of, numbers) in seen {
            assert!(numbers.is_sorted(), "{of:?}: {numbers:?}");
        }
    }
}

/// 3.1.1: [MQTT-4.6.0-2], [MQTT-4.6.0-3], [MQTT-4.6.0-4].
#[test]
fn acknowledgements_keep_the_order_of_what_they_answer() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.subscribe("a", ExactlyOnce);
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        let ids = [9, 3, 40_000, 7, 1, 500].map(|id| PacketId::new(id).unwrap());
        for first in [0x32, 0x34] {
            for id in ids {
                publisher.send_bytes(&publish(version, first, "a", id.get(), "x"));
            }
            for id in ids {
                match first {
                    0x32 => publisher.next_puback(id),
                    _ => publisher.next_pubrec(id),
                };
            }
        }
        let received: Vec<_> = (0..12).map(|_| reader.next_publish()).collect();
        let mut open: Vec<_> = received[6..].iter().map(|p| p.packet_id.unwrap()).collect();
        open.rotate_left(2);
        for id in &open {
            reader.pubrec(*id);
        }
        for id in open {
            reader.next_pubrel(id);
        }
    }
}
