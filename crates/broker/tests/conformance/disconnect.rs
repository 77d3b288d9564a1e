//! DISCONNECT, the reasons for it, and what else a client is told of its
//! mistakes (MQTT 5.0 and 3.1.1, 3.14 and 4.13).

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{
    Access, ClientInfo, ConnectRequest, Options, PublishRequest, Refusal, WhenFull,
};
use latchlight_mqtt::{Connect, Packet, Properties, ProtocolVersion, PubRec, QoS, ReasonCode};

use crate::bytes::{
    STANDARDS, connect, field, packet, properties, publish, subscribe, unsubscribe,
};
use crate::support::{Client, TestBroker, VERSIONS};
use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce};

/// Refuses what is published to a number for the reason of that code, and
/// panics at others.
struct Refusing;

#[async_trait]
impl Access for Refusing {
    async fn authenticate(&self, _: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok("anyone".into())
    }

    fn authorize_publish(
        &self,
        _: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        let code =
            request.topic.parse::<u8>().ok().and_then(|code| ReasonCode::try_from(code).ok());
        assert_ne!(request.topic, "panic");
        code.map_or(Ok(()), |reason| Err(Refusal::Disconnect(reason)))
    }

    fn authorize_subscribe(&self, _: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        if filter == "locked" { Err(ReasonCode::NotAuthorized) } else { Ok(()) }
    }
}

/// Every kind of end that the server makes.
///
/// 5.0: [MQTT-3.14.2-1], [MQTT-3.14.2-2], [MQTT-3.14.4-1], [MQTT-3.14.4-2],
/// [MQTT-4.13.1-1], [MQTT-4.13.2-1];
/// 3.1.1: [MQTT-4.8.0-1].
#[test]
fn the_servers_disconnect_has_a_reason_and_nothing_follows_it() {
    use ReasonCode as R;
    for version in STANDARDS {
        let options = Options {
            max_packet_size: 1000,
            receive_maximum: 1,
            max_queued_messages: 2,
            max_in_flight: 1,
            when_full: WhenFull::Disconnect,
            ..Options::default()
        };
        let mut broker = TestBroker::build(|builder| builder.options(options).access(Refusing));
        let mut ends: Vec<(Vec<u8>, R)> = vec![
            (packet(0x82, &[0]), R::MalformedPacket),
            (packet(0x00, &[]), R::MalformedPacket),
            (connect(version, 0x02, &[field("client")]), R::ProtocolError),
            (packet(0xD0, &[]), R::ProtocolError),
            (publish(version, 0x30, "a/#", 0, ""), R::TopicNameInvalid),
            (subscribe(version, 1, "a#", 0), R::TopicFilterInvalid),
            (publish(version, 0x30, "a", 0, &"x".repeat(1000)), R::PacketTooLarge),
            (publish(version, 0x30, "135", 0, ""), R::NotAuthorized),
            // A hook's reason that DISCONNECT does not have.
            (publish(version, 0x30, "138", 0, ""), R::UnspecifiedError),
            (publish(version, 0x30, "panic", 0, ""), R::UnspecifiedError),
        ];
        if version == V5 {
            let alias = [field("a"), properties(version, &[0x23, 255, 255])].concat();
            ends.push((packet(0x30, &alias), R::TopicAliasInvalid));
            let two = [1, 2].map(|id| publish(version, 0x34, "a", id, ""));
            ends.push((two.concat(), R::ReceiveMaximumExceeded));
        }
        for (said, reason) in ends {
            let mut client = Client::connect(broker.address(), version, "client");
            client.subscribe("b", AtMostOnce);
            // There is more to say to it, before and after.
            client.send_bytes(&publish(version, 0x30, "b", 0, "before"));
            client.send_bytes(&said);
            client.try_send_bytes(&publish(version, 0x30, "b", 0, "after"));
            client.try_send_bytes(&packet(0xC0, &[]));
            assert_eq!(client.next_message().1, "before");
            if reason == R::ReceiveMaximumExceeded {
                assert!(matches!(client.next(), Packet::PubRec(_)), "the first is taken");
            }
            expect_last_words(&mut client, version, reason, &said);
        }
        // A newer connection, a queue that is full, the broker's own end.
        let mut older = Client::connect(broker.address(), version, "client");
        let mut newer = Client::connect(broker.address(), version, "client");
        expect_last_words(&mut older, version, R::SessionTakenOver, b"a newer one");
        newer.subscribe("full", AtLeastOnce);
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        for id in 1..=4 {
            publisher.send_bytes(&publish(version, 0x32, "full", id, "x"));
        }
        newer.next_publish();
        expect_last_words(&mut newer, version, R::QuotaExceeded, b"a full queue");
        publisher.drain();
        broker.close();
        expect_last_words(&mut publisher, version, R::ServerShuttingDown, b"the end");
    }
}

fn expect_last_words(
    client: &mut Client,
    version: ProtocolVersion,
    reason: ReasonCode,
    after: &[u8],
) {
    if let Some(packet) = client.try_next() {
        let Packet::Disconnect(disconnect) = packet else { panic!("{packet:?} after {after:x?}") };
        assert_eq!((version, disconnect.reason), (V5, reason), "after {after:x?}");
        assert_eq!(disconnect.properties.session_expiry_interval, None);
        client.expect_closed();
    } else {
        assert_ne!(version, V5, "no word after {after:x?}");
    }
}

/// 3.1.1: [MQTT-4.8.0-2].
#[test]
fn an_error_of_the_broker_itself_closes_the_connection() {
    let broker = TestBroker::with_access(Refusing);
    for version in VERSIONS {
        let mut other = Client::connect(broker.address(), version, "other");
        let mut client = Client::connect(broker.address(), version, "client");
        client.send_bytes(&publish(version, 0x32, "panic", 1, ""));
        if version == V5 {
            // The acknowledgement can say it.
            assert_eq!(client.next_bytes(), [0x40, 3, 0, 1, 0x80]);
            client.send_bytes(&publish(version, 0x30, "panic", 0, ""));
        }
        client.expect_disconnect(ReasonCode::UnspecifiedError);
        other.expect_nothing();
    }
}

/// 5.0: [MQTT-3.14.2-3], [MQTT-3.1.2-29].
#[test]
fn a_disconnect_says_what_was_wrong_to_who_wants_to_know_and_can_take_it() {
    let broker = TestBroker::start();
    for (wants, most, comes) in [
        (None, None, true),
        (Some(true), Some(1000), true),
        (Some(true), Some(20), false),
        (Some(false), None, false),
    ] {
        let mut connect = Connect::new(V5, "client");
        connect.properties.make_mut().request_problem_information = wants;
        connect.properties.make_mut().maximum_packet_size = most;
        let mut client = Client::connect_with(broker.address(), connect).0;
        client.send_bytes(&packet(0xC0, &[0]));
        let bytes = client.next_bytes();
        if comes {
            let Packet::Disconnect(disconnect) = Packet::decode(bytes.into(), V5).unwrap() else {
                panic!("no DISCONNECT")
            };
            assert!(disconnect.properties.reason_string.as_ref().is_some_and(|s| !s.is_empty()));
        } else {
            assert_eq!(bytes, [0xE0, 1, 0x81]);
        }
        client.expect_closed();
    }
}

/// Nothing stands beside the reason codes of the acknowledgements, which are
/// some of theirs.
///
/// 5.0: [MQTT-3.1.2-29], [MQTT-3.4.2-1], [MQTT-3.5.2-1], [MQTT-3.6.2-1],
/// [MQTT-3.7.2-1].
#[test]
fn acknowledgements_have_a_reason_code_of_theirs_and_nothing_more() {
    let broker = TestBroker::with_access(Refusing);
    for wants in [None, Some(false)] {
        let mut connect = Connect::new(V5, "client");
        connect.properties.make_mut().request_problem_information = wants;
        let mut client = Client::connect_with(broker.address(), connect).0;
        let mut ask = |said: &[u8], answer: &[u8]| {
            client.send_bytes(said);
            assert_eq!(client.next_bytes(), answer, "to {said:x?}");
        };
        for reason in ReasonCode::ALL {
            use ReasonCode as R;
            let code = match reason {
                R::UnspecifiedError
                | R::ImplementationSpecificError
                | R::NotAuthorized
                | R::TopicNameInvalid
                | R::PacketIdentifierInUse
                | R::QuotaExceeded
                | R::PayloadFormatInvalid => reason.code(),
                _ => 0x80,
            };
            let topic = reason.code().to_string();
            ask(&publish(V5, 0x32, &topic, 1, ""), &[0x40, 3, 0, 1, code]);
            ask(&publish(V5, 0x34, &topic, 1, ""), &[0x50, 3, 0, 1, code]);
        }
        ask(&publish(V5, 0x32, "a", 1, ""), &[0x40, 3, 0, 1, 0x10]);
        ask(&publish(V5, 0x34, "a", 1, ""), &[0x50, 3, 0, 1, 0x10]);
        ask(&packet(0x62, &[0, 1]), &[0x70, 2, 0, 1]);
        ask(&packet(0x62, &[0, 1]), &[0x70, 3, 0, 1, 0x92]);
        ask(&packet(0x50, &[0, 9]), &[0x62, 3, 0, 9, 0x92]);
        ask(&subscribe(V5, 1, "locked", 0), &[0x90, 4, 0, 1, 0, 0x87]);
        ask(&unsubscribe(V5, 1, "locked"), &[0xB0, 4, 0, 1, 0, 0x11]);
    }
    // What the client itself says of a message has no answer that is a lie.
    let mut client = Client::connect(broker.address(), V5, "client");
    client.subscribe("a", QoS::ExactlyOnce);
    Client::connect(broker.address(), V5, "other").publish("a", "x", QoS::ExactlyOnce);
    let id = client.next_publish().packet_id.unwrap();
    let (reason, properties) = (ReasonCode::NoMatchingSubscribers, Properties::new());
    client.send(Packet::PubRec(PubRec { packet_id: id, reason, properties }));
    assert_eq!(client.next_pubrel(id), ReasonCode::Success);
}

/// Nor do messages follow that others publish while it is on its way, behind
/// much that the client has not read.
///
/// 5.0: [MQTT-3.14.4-1].
#[test]
fn nothing_of_others_follows_the_servers_disconnect() {
    let options = Options { high_water: 64 << 20, ..Options::default() };
    let broker = TestBroker::with_options(options);
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("much", AtMostOnce);
    reader.subscribe("late", AtMostOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for _ in 0..200 {
        publisher.send_bytes(&publish(V5, 0x30, "much", 0, &"x".repeat(100_000)));
    }
    publisher.expect_nothing();
    reader.send_bytes(&packet(0xC0, &[0]));
    broker.until("it ends", |broker| broker.counters().protocol_errors == 1);
    publisher.send_bytes(&publish(V5, 0x30, "late", 0, "x").repeat(50));
    publisher.expect_nothing();
    while let Some(packet) = reader.try_next_of_broken() {
        if matches!(packet, Packet::Disconnect(_)) {
            assert!(reader.try_next_of_broken().is_none(), "it is the last");
        }
    }
}

/// What a client says behind its goodbye is not listened to.
///
/// 5.0: [MQTT-3.14.4-2].
#[test]
fn the_connection_is_closed_after_the_clients_goodbye() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.subscribe("a", AtMostOnce);
        let mut client = Client::connect(broker.address(), version, "client");
        let behind = publish(version, 0x30, "a", 0, "behind");
        client.send_bytes(&[packet(0xE0, &[]), behind].concat());
        client.expect_closed();
        reader.expect_nothing();
    }
}
