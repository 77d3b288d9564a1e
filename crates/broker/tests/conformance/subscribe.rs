//! SUBSCRIBE and SUBACK (MQTT 5.0 and 3.1.1, 3.8 and 3.9), and overlapping
//! subscriptions (3.3.4 and 3.3.5).

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{Access, ClientInfo, ConnectRequest, PublishRequest, Refusal};
use latchlight_mqtt::{
    Packet, PacketId, Properties, ProtocolVersion, QoS, ReasonCode, SubAck, SubscriptionOptions,
};

use crate::bytes::{STANDARDS, field, packet, properties, publish, subscribe};
use crate::support::{Client, TestBroker};
use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

const ALL: [QoS; 3] = [AtMostOnce, AtLeastOnce, ExactlyOnce];

/// 5.0: [MQTT-3.8.3-2], [MQTT-3.8.3-4], [MQTT-3.8.3-5];
/// 3.1.1: [MQTT-3.8.3-3], [MQTT-3.8.3-4].
#[test]
fn a_subscribe_that_cannot_be_closes_the_connection() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut client = Client::connect(broker.address(), version, "client");
        let none = packet(0x82, &[vec![0, 1], properties(version, &[])].concat());
        client.send_bytes(&none);
        client.expect_cut(version, &[ReasonCode::ProtocolError], "no filter");
        let allowed: Vec<u8> = match version {
            // QoS, No Local, Retain As Published and Retain Handling.
            V5 => (0..=0xFF).filter(|b| b & 0xC0 == 0 && b & 3 < 3 && b & 0x30 < 0x30).collect(),
            _ => vec![0, 1, 2],
        };
        for options in 0..=0xFF {
            let mut client = Client::connect(broker.address(), version, "client");
            client.send_bytes(&subscribe(version, 1, "a", options));
            if allowed.contains(&options) {
                assert!(matches!(client.next(), Packet::SubAck(_)), "{options:08b}");
            } else {
                let reasons = [ReasonCode::MalformedPacket, ReasonCode::ProtocolError];
                client.expect_cut(version, &reasons, &format!("{options:08b}"));
            }
        }
    }
    for (options, fits) in [(0x00, true), (0x04, false), (0x0C, false), (0x08, true)] {
        let mut client = Client::connect(broker.address(), V5, "client");
        client.send_bytes(&subscribe(V5, 1, "$share/name/a", options));
        match fits {
            true => assert!(matches!(client.next(), Packet::SubAck(_))),
            false => client.expect_cut(V5, &[ReasonCode::ProtocolError], "No Local, shared"),
        }
    }
}

/// 5.0: [MQTT-3.8.4-1], [MQTT-3.8.4-5], [MQTT-3.8.4-6], [MQTT-3.8.4-7],
/// [MQTT-3.9.3-1];
/// 3.1.1: [MQTT-3.8.4-1], [MQTT-3.8.4-4], [MQTT-3.8.4-5], [MQTT-3.9.3-1].
#[test]
fn several_filters_count_as_several_requests_with_one_answer() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut client = Client::connect(broker.address(), version, "client");
        let filters = [("a", 2), ("b", 0), ("c", 1), ("a", 1), ("d/#", 2)];
        let filters: Vec<_> =
            filters.into_iter().flat_map(|(filter, qos)| [field(filter), vec![qos]]).collect();
        client.send_bytes(&packet(
            0x82,
            &[vec![0, 9], properties(version, &[]), filters.concat()].concat(),
        ));
        let head: &[u8] = if version == V5 { &[0x90, 8, 0, 9, 0] } else { &[0x90, 7, 0, 9] };
        assert_eq!(client.next_bytes(), [head, &[2, 0, 1, 1, 2]].concat());
        // As if one had come after the other: the second `a` counts.
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        for (topic, qos) in
            [("a", AtLeastOnce), ("b", AtMostOnce), ("c", AtLeastOnce), ("d/e", ExactlyOnce)]
        {
            publisher.publish(topic, "x", ExactlyOnce);
            let received = client.next_publish();
            assert_eq!((&*received.topic, received.qos), (topic, qos));
        }
        client.expect_nothing();
    }
}

/// Refuses some filters, for reasons of every kind.
struct Refusing;

#[async_trait]
impl Access for Refusing {
    async fn authenticate(&self, _: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok("anyone".into())
    }

    fn authorize_publish(&self, _: &ClientInfo, _: &PublishRequest<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        let code = filter.parse::<u8>().ok().and_then(|code| ReasonCode::try_from(code).ok());
        code.map_or(Ok(()), Err)
    }
}

/// 5.0: [MQTT-3.8.4-7], [MQTT-3.9.3-2];
/// 3.1.1: [MQTT-3.8.4-5], [MQTT-3.9.3-2].
#[test]
fn a_filter_that_is_refused_is_answered_with_a_failure() {
    let broker = TestBroker::with_access(Refusing);
    for version in STANDARDS {
        let mut client = Client::connect(broker.address(), version, "client");
        for reason in ReasonCode::ALL {
            let filter = reason.code().to_string();
            client.send_bytes(&subscribe(version, 1, &filter, 2));
            let suback = client.next_bytes();
            let code = *suback.last().unwrap();
            assert!(code >= 0x80, "{reason:?} is answered {code:x}");
            match version {
                V311 => assert_eq!(suback, [0x90, 3, 0, 1, 0x80]),
                _ => assert!(Packet::decode(suback.into(), version).is_ok()),
            }
            client.publish(&filter, "x", AtLeastOnce);
        }
        // The others of the same packet are granted.
        let filters = [field("135"), vec![2], field("a"), vec![1]].concat();
        let body = [vec![0, 1], properties(version, &[]), filters].concat();
        client.send_bytes(&packet(0x82, &body));
        let Packet::SubAck(SubAck { reasons, .. }) = client.next() else { panic!("no SUBACK") };
        assert!(reasons[0].is_error());
        assert_eq!(reasons[1], ReasonCode::GrantedQoS1);
        client.publish("135", "x", AtLeastOnce);
        client.expect_nothing();
    }
}

/// 5.0: [MQTT-3.8.4-8], [MQTT-4.3.1-1];
/// 3.1.1: [MQTT-3.8.4-6].
#[test]
fn messages_come_at_the_lower_qos() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        for granted in ALL {
            reader.subscribe("a", granted);
            for qos in ALL {
                publisher.publish("a", "x", qos);
                let received = reader.next_publish();
                assert_eq!(received.qos, granted.min(qos));
                reader.acknowledge(&received);
            }
        }
    }
}

/// 5.0: [MQTT-3.8.4-3], [MQTT-3.8.4-4];
/// 3.1.1: [MQTT-3.8.4-3].
#[test]
fn the_same_filter_again_replaces_the_subscription_and_loses_nothing() {
    const COUNT: u16 = 300;
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        publisher.publish_retained("kept", "kept", AtLeastOnce);
        reader.subscribe("+", AtLeastOnce);
        assert_eq!(reader.next_message().1, "kept");
        let batch: Vec<u8> =
            (1..=COUNT).flat_map(|id| publish(version, 0x34, "a", id, &id.to_string())).collect();
        let first_half = batch.len() / 2;
        publisher.send_bytes(&batch[..first_half]);
        reader.send_bytes(&subscribe(version, 900, "+", 2));
        publisher.send_bytes(&batch[first_half..]);
        let (mut next, mut kept, mut answered) = (1, 0, false);
        while next <= COUNT || kept == 0 {
            match reader.next() {
                Packet::SubAck(suback) => {
                    assert_eq!(suback.reasons, [ReasonCode::GrantedQoS2]);
                    answered = true;
                }
                Packet::Publish(received) if received.retain => {
                    assert!(answered);
                    kept += 1;
                }
                Packet::Publish(received) => {
                    // There is one subscription: one copy, none is left out.
                    assert_eq!(received.payload, next.to_string());
                    next += 1;
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        publisher.drain();
        publisher.send_bytes(&publish(version, 0x34, "a", 999, "last"));
        assert_eq!(reader.next_publish().qos, ExactlyOnce);
        assert_eq!(broker.counters().subscriptions, 1);
        publisher.send_bytes(&publish(version, 0x31, "kept", 0, ""));
        assert_eq!(reader.next_message().1, "");
    }
}

/// 5.0: [MQTT-3.3.4-2], [MQTT-3.3.4-3], [MQTT-3.3.4-4];
/// 3.1.1: [MQTT-3.3.5-1].
#[test]
fn overlapping_subscriptions_bring_one_copy_at_the_highest_qos() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        for (number, (filter, qos)) in [
            ("a/#", AtMostOnce),
            ("a/b", ExactlyOnce),
            ("+/b", AtLeastOnce),
            ("#", AtMostOnce),
            ("c", ExactlyOnce),
        ]
        .into_iter()
        .enumerate()
        {
            let mut properties = Properties::new();
            // One of them has no identifier.
            if version == V5 && filter != "#" {
                properties.make_mut().subscription_identifiers = vec![number as u32 + 1];
            }
            reader.subscribe_with(filter, SubscriptionOptions::qos(qos), properties);
        }
        for (topic, qos, of_which) in [
            ("a/b", ExactlyOnce, vec![1, 2, 3]),
            ("x/b", AtLeastOnce, vec![3]),
            ("a", AtMostOnce, vec![1]),
            ("x", AtMostOnce, vec![]),
        ] {
            publisher.publish(topic, "x", ExactlyOnce);
            let received = reader.next_publish();
            assert_eq!(received.qos, qos, "{topic}");
            let mut identifiers = received.properties.subscription_identifiers.clone();
            identifiers.sort_unstable();
            assert_eq!(identifiers, if version == V5 { of_which } else { vec![] });
            reader.acknowledge(&received);
        }
        reader.expect_nothing();
    }
}

/// MQTT 5, 3.8.2.1.2 and 3.8.4: what a filter's identifier is, the last
/// SUBSCRIBE says; an identifier goes with what is kept, too.
#[test]
fn an_identifier_is_replaced_with_its_subscription() {
    let broker = TestBroker::start();
    let mut reader = Client::connect(broker.address(), V5, "reader");
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.publish_retained("a", "kept", AtLeastOnce);
    for identifiers in [vec![1], vec![268_435_455], vec![]] {
        let mut properties = Properties::new();
        if !identifiers.is_empty() {
            properties.make_mut().subscription_identifiers = identifiers.clone();
        }
        reader.subscribe_with("a", SubscriptionOptions::default(), properties);
        assert_eq!(reader.next_publish().properties.subscription_identifiers, identifiers);
        publisher.publish("a", "x", AtLeastOnce);
        assert_eq!(reader.next_publish().properties.subscription_identifiers, identifiers);
    }
}

/// 5.0: [MQTT-3.8.3-3].
#[test]
fn no_local_keeps_a_clients_own_messages_from_it() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    let mut other = Client::connect(broker.address(), V5, "other");
    let options = SubscriptionOptions { no_local: true, ..SubscriptionOptions::qos(ExactlyOnce) };
    client.try_subscribe("a", options);
    for qos in ALL {
        let id = client.next_id().get();
        client.send_bytes(&publish(V5, 0x30 | (qos as u8) << 1, "a", id, "own"));
        match qos {
            AtMostOnce => {}
            AtLeastOnce => {
                client.next_puback(PacketId::new(id).unwrap());
            }
            ExactlyOnce => {
                client.next_pubrec(PacketId::new(id).unwrap());
            }
        }
        client.expect_nothing();
        other.publish("a", "other's", qos);
        assert_eq!(client.next_message().1, "other's");
    }
    // A subscription without it that overlaps brings them, and its own only.
    client.subscribe("+", AtMostOnce);
    client.send_bytes(&publish(V5, 0x30, "a", 0, "own"));
    assert_eq!(client.next_message().1, "own");
    client.expect_nothing();
}
