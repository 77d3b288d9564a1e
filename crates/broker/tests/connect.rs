//! CONNECT and the end of a connection (MQTT 5, 3.1, 3.2, 3.14 and 4.12).
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use latchlight_broker::{DenyAll, Options};
use latchlight_mqtt::{Connect, Packet, PropertyValues, ProtocolVersion, QoS, ReasonCode};
use support::{Client, TestBroker, VERSIONS};

use ProtocolVersion::{V5, V31, V311};

#[test]
fn clients_of_every_version_are_let_in() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let connect = Connect::new(version, "device");
        let (mut client, connack) = Client::connect_with(broker.address(), connect);
        assert!(!connack.session_present);
        client.send(Packet::PingReq);
        // [MQTT-3.12.4-1]
        assert_eq!(client.next(), Packet::PingResp);
        client.disconnect();
    }
}

#[test]
fn without_an_access_hook_nobody_is_let_in() {
    let broker = TestBroker::with_access(DenyAll);
    for version in VERSIONS {
        let connect = Connect::new(version, "device");
        let (mut client, connack) = Client::try_connect(broker.address(), connect);
        assert_eq!(connack.reason, ReasonCode::NotAuthorized);
        // [MQTT-3.2.2-6]
        assert!(!connack.session_present);
        // [MQTT-3.2.2-7]
        client.expect_closed();
    }
}

#[test]
fn an_empty_client_id_gets_one_assigned() {
    let broker = TestBroker::start();
    let (_, first) = Client::connect_with(broker.address(), Connect::new(V5, ""));
    let (_, second) = Client::connect_with(broker.address(), Connect::new(V5, ""));
    // [MQTT-3.1.3-6], [MQTT-3.1.3-7], [MQTT-3.2.2-16]
    let first = first.properties.assigned_client_identifier.clone().unwrap();
    let second = second.properties.assigned_client_identifier.clone().unwrap();
    assert!(!first.is_empty());
    assert_ne!(first, second);
    // 3.1.1: [MQTT-3.1.3-6]
    Client::connect(broker.address(), V311, "").expect_nothing();
}

#[test]
fn an_empty_client_id_without_clean_session_is_refused_before_mqtt_5() {
    let broker = TestBroker::start();
    let mut client = Client::open(broker.address(), V311);
    client.send_bytes(&[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 60, 0, 0]);
    // 3.1.1: [MQTT-3.1.3-8], [MQTT-3.1.3-9]
    match client.next() {
        Packet::ConnAck(connack) => {
            assert_eq!(connack.reason, ReasonCode::ClientIdentifierNotValid);
        }
        other => panic!("expected CONNACK, received {other:?}"),
    }
    client.expect_closed();
}

#[test]
fn a_protocol_level_that_is_not_spoken_is_refused() {
    let broker = TestBroker::start();
    for level in [0, 2, 6, 255, 0x84] {
        let mut client = Client::open(broker.address(), V5);
        client.send_bytes(&[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', level, 2, 0, 60, 0, 0, 0]);
        // [MQTT-3.1.2-2]: CONNACK is allowed, the close is not optional.
        client.read_to_end();
    }
}

#[test]
fn the_first_packet_is_connect_or_the_connection_ends() {
    let broker = TestBroker::start();
    for first in [Packet::PingReq, Packet::Publish(latchlight_mqtt::Publish::new("a", "b"))] {
        let mut client = Client::open(broker.address(), V5);
        client.send(first);
        // [MQTT-3.1.0-1], and nothing is said to who is no client yet.
        client.expect_closed();
    }
}

#[test]
fn a_second_connect_is_a_protocol_error() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let mut client = Client::connect(broker.address(), version, "device");
        client.send(Packet::Connect(Box::new(Connect::new(version, "device"))));
        // [MQTT-3.1.0-2]
        client.expect_disconnect(ReasonCode::ProtocolError);
    }
}

#[test]
fn packets_behind_connect_in_the_same_write_are_served() {
    let broker = TestBroker::start();
    let mut client = Client::open(broker.address(), V5);
    let mut bytes = Vec::new();
    Packet::Connect(Box::new(Connect::new(V5, "device"))).encode(V5, &mut bytes).unwrap();
    Packet::PingReq.encode(V5, &mut bytes).unwrap();
    client.send_bytes(&bytes);
    assert!(matches!(client.next(), Packet::ConnAck(_)));
    assert_eq!(client.next(), Packet::PingResp);
}

#[test]
fn packets_that_come_byte_by_byte_are_served() {
    let broker = TestBroker::start();
    let mut client = Client::open(broker.address(), V5);
    let mut bytes = Vec::new();
    Packet::Connect(Box::new(Connect::new(V5, "device"))).encode(V5, &mut bytes).unwrap();
    Packet::PingReq.encode(V5, &mut bytes).unwrap();
    for byte in bytes {
        client.send_bytes(&[byte]);
    }
    assert!(matches!(client.next(), Packet::ConnAck(_)));
    assert_eq!(client.next(), Packet::PingResp);
}

#[test]
fn connack_tells_an_mqtt_5_client_the_limits() {
    let options = Options {
        max_packet_size: 5000,
        receive_maximum: 7,
        topic_alias_maximum: 3,
        max_keep_alive: 30,
        max_session_expiry: Duration::from_secs(100),
        ..Options::default()
    };
    let broker = TestBroker::with_options(options);
    let mut connect = Connect::new(V5, "device");
    connect.properties = session_expiry(1000);
    let (_, connack) = Client::connect_with(broker.address(), connect);
    assert_eq!(connack.properties.maximum_packet_size, Some(5000));
    assert_eq!(connack.properties.receive_maximum, Some(7));
    assert_eq!(connack.properties.topic_alias_maximum, Some(3));
    // [MQTT-3.2.2-21]: the client uses it instead of its own.
    assert_eq!(connack.properties.server_keep_alive, Some(30));
    assert_eq!(connack.properties.session_expiry_interval, Some(100));
}

#[test]
fn a_client_that_is_silent_beyond_its_keep_alive_is_disconnected() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let connect = Connect { keep_alive: 1, ..Connect::new(version, "device") };
        let since = Instant::now();
        let (mut client, _) = Client::connect_with(broker.address(), connect);
        // [MQTT-3.1.2-22]: one and a half times the keep alive.
        client.expect_disconnect(ReasonCode::KeepAliveTimeout);
        assert!(since.elapsed() >= Duration::from_millis(1400), "{:?}", since.elapsed());
    }
    assert_eq!(broker.counters().keep_alive_timeouts, VERSIONS.len() as u64);
}

#[test]
fn a_newer_connection_takes_the_session_over() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let connect = |clean_start| Connect {
            clean_start,
            properties: if version == V5 { session_expiry(60) } else { Default::default() },
            ..Connect::new(version, "device")
        };
        let (mut older, _) = Client::connect_with(broker.address(), connect(true));
        older.subscribe("a", QoS::AtMostOnce);
        let (mut newer, connack) = Client::connect_with(broker.address(), connect(false));
        // [MQTT-3.1.4-3]
        older.expect_disconnect(ReasonCode::SessionTakenOver);
        if version == V5 {
            // [MQTT-3.2.2-3]
            assert!(connack.session_present);
            newer.send(Packet::Publish(latchlight_mqtt::Publish::new("a", "still subscribed")));
            assert_eq!(newer.next_message().1, "still subscribed");
        }
        newer.disconnect();
    }
}

#[test]
fn sessions_end_with_their_connection_or_wait_as_the_client_asks() {
    let broker = TestBroker::start();
    let present = |connect: Connect| {
        let (client, connack) = Client::connect_with(broker.address(), connect);
        client.disconnect();
        connack.session_present
    };
    let old = |clean_start| Connect { clean_start, ..Connect::new(V311, "old") };
    assert!(!present(old(false)));
    // 3.1.1: [MQTT-3.1.2-4], [MQTT-3.2.2-2]
    assert!(present(old(false)));
    // 3.1.1: [MQTT-3.1.2-6]: a clean session ends with its connection.
    assert!(!present(old(true)));
    assert!(!present(old(false)));

    let new = |clean_start, expiry| Connect {
        clean_start,
        properties: session_expiry(expiry),
        ..Connect::new(V5, "new")
    };
    assert!(!present(new(false, 60)));
    // [MQTT-3.1.2-5]
    assert!(present(new(false, 60)));
    // [MQTT-3.1.2-4]: a clean start discards what was, and may itself wait.
    assert!(!present(new(true, 60)));
    assert!(present(new(false, 0)));
    assert!(!present(new(false, 0)));
}

#[test]
fn disconnect_may_change_the_session_expiry_but_not_from_zero() {
    let broker = TestBroker::start();
    let connect = |expiry| Connect {
        clean_start: false,
        properties: session_expiry(expiry),
        ..Connect::new(V5, "device")
    };
    let goodbye = |expiry| latchlight_mqtt::Disconnect {
        reason: ReasonCode::Success,
        properties: session_expiry(expiry),
    };
    let (client, _) = Client::connect_with(broker.address(), connect(60));
    client.disconnect_with(goodbye(0));
    let (mut client, connack) = Client::connect_with(broker.address(), connect(0));
    assert!(!connack.session_present);
    client.send(Packet::Disconnect(goodbye(60)));
    // MQTT 5, 3.14.2.2.2: from zero to anything is a protocol error.
    client.expect_disconnect(ReasonCode::ProtocolError);
    let (_, connack) = Client::connect_with(broker.address(), connect(0));
    assert!(!connack.session_present);
}

/// MQTT 5, 3.14.2.2.2: what counts is what CONNECT said.
#[test]
fn to_change_an_expiry_that_was_not_given_is_no_error() {
    let options = Options { max_session_expiry: Duration::ZERO, ..Options::default() };
    let broker = TestBroker::with_options(options);
    let connect = Connect { properties: session_expiry(60), ..Connect::new(V5, "device") };
    let (mut client, connack) = Client::connect_with(broker.address(), connect);
    assert_eq!(connack.properties.session_expiry_interval, Some(0));
    let properties = session_expiry(30);
    let goodbye = latchlight_mqtt::Disconnect { reason: ReasonCode::Success, properties };
    client.send(Packet::Disconnect(goodbye));
    client.expect_closed();
    assert_eq!(broker.counters().protocol_errors, 0);
    broker.until("the session ends", |broker| broker.counters().sessions == 0);
}

#[test]
fn a_session_is_forgotten_when_its_expiry_is_over() {
    let broker = TestBroker::start();
    let connect = || Connect {
        clean_start: false,
        properties: session_expiry(3),
        ..Connect::new(V5, "device")
    };
    Client::connect_with(broker.address(), connect()).0.disconnect();
    assert_eq!(broker.counters().sessions, 1);
    broker.until("the session ends", |broker| broker.counters().sessions == 0);
    let (_, connack) = Client::connect_with(broker.address(), connect());
    assert!(!connack.session_present);
}

#[test]
fn an_authentication_method_that_nobody_serves_is_refused() {
    let broker = TestBroker::start();
    let mut connect = Connect::new(V5, "device");
    connect.properties.make_mut().authentication_method = Some("SCRAM-SHA-1".into());
    let (mut client, connack) = Client::try_connect(broker.address(), connect);
    // MQTT 5, 4.12: CONNACK with 0x8C.
    assert_eq!(connack.reason, ReasonCode::BadAuthenticationMethod);
    client.expect_closed();
}

#[test]
fn a_broker_that_closes_says_so() {
    let mut broker = TestBroker::start();
    let mut new = Client::connect(broker.address(), V5, "new");
    let mut old = Client::connect(broker.address(), V311, "old");
    let mut oldest = Client::connect(broker.address(), V31, "oldest");
    let address = broker.address();
    broker.close();
    new.expect_disconnect(ReasonCode::ServerShuttingDown);
    old.expect_closed();
    oldest.expect_closed();
    assert!(std::net::TcpStream::connect(address).is_err(), "the port is free again");
}

fn session_expiry(seconds: u32) -> latchlight_mqtt::Properties {
    PropertyValues { session_expiry_interval: Some(seconds), ..Default::default() }.into()
}
