//! Wills (MQTT 5, 3.1.2.5 to 3.1.2.7 and 3.1.3.2).
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use latchlight_mqtt::{Connect, Disconnect, Packet, ProtocolVersion, QoS, ReasonCode, Will};
use support::{Client, TestBroker, VERSIONS};

use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce};

#[test]
fn the_will_of_a_client_that_vanishes_is_published() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    for version in VERSIONS {
        Client::connect_with(broker.address(), with_will(version)).0.vanish();
        // [MQTT-3.1.2-8]
        let will = watcher.next_publish();
        assert_eq!((&*will.topic, &will.payload[..]), ("online", &b"offline"[..]));
        // [MQTT-3.1.2-11], [MQTT-3.1.2-15]
        assert!(will.retain);
        watcher.acknowledge(&will);
        // [MQTT-3.1.2-14]
        let mut late = Client::connect(broker.address(), V5, "late");
        late.subscribe("online", AtMostOnce);
        assert_eq!(late.next_message().1, "offline");
        late.disconnect();
        Client::connect(broker.address(), V5, "cleaner").publish_retained(
            "online",
            "",
            AtLeastOnce,
        );
        watcher.next_publish();
    }
}

#[test]
fn the_will_of_a_client_that_closes_without_a_word_is_published() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    let (mut client, _) = Client::connect_with(broker.address(), with_will(V5));
    client.finish_sending();
    assert_eq!(watcher.next_message().1, "offline");
}

#[test]
fn the_will_of_a_client_that_breaks_the_protocol_is_published() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    let (mut client, _) = Client::connect_with(broker.address(), with_will(V5));
    client.send_bytes(&[0xF1, 0x00]);
    assert_eq!(watcher.next_message().1, "offline");
}

#[test]
fn the_will_of_a_silent_client_is_published() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    let connect = Connect { keep_alive: 1, ..with_will(V5) };
    let _client = Client::connect_with(broker.address(), connect);
    assert_eq!(watcher.next_message().1, "offline");
}

#[test]
fn a_goodbye_takes_the_will_away_unless_it_asks_for_it() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    for version in VERSIONS {
        Client::connect_with(broker.address(), with_will(version)).0.disconnect();
    }
    // [MQTT-3.1.2-10], [MQTT-3.14.4-3]
    broker.until("they are gone", |broker| broker.clients().len() == 1);
    watcher.expect_nothing();
    let (client, _) = Client::connect_with(broker.address(), with_will(V5));
    client.disconnect_with(Disconnect::new(ReasonCode::DisconnectWithWill));
    assert_eq!(watcher.next_message().1, "offline");
}

#[test]
fn the_will_of_a_connection_that_is_taken_over_is_published() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    for version in VERSIONS {
        for clean_start in [true, false] {
            let (_older, _) = Client::connect_with(broker.address(), with_will(version));
            // MQTT 5, 3.1.4: the older connection is closed, and its will not delayed.
            let connect = Connect { clean_start, ..Connect::new(version, "device") };
            let (newer, _) = Client::connect_with(broker.address(), connect);
            assert_eq!(watcher.next_message().1, "offline");
            newer.disconnect();
            watcher.expect_nothing();
        }
    }
}

/// The end of an older connection never touches the will of a newer one.
#[test]
fn a_client_that_comes_back_at_once_keeps_its_new_will() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    for _ in 0..200 {
        let mut connect = Connect { clean_start: false, ..with_will(V5) };
        connect.properties.make_mut().session_expiry_interval = Some(600);
        let (mut older, _) = Client::connect_with(broker.address(), connect.clone());
        older.send(Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
        let (newer, _) = Client::connect_with(broker.address(), connect);
        newer.vanish();
        // One, from whichever: a takeover in flight ends the older one without a goodbye.
        assert_eq!(watcher.next_message().1, "offline");
        broker.until("it is gone", |broker| broker.clients().len() == 1);
        watcher.drain();
    }
}

#[test]
fn a_will_waits_for_its_delay_and_comes_back_undone() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    let delayed = |clean_start, delay| {
        let mut connect = Connect { clean_start, ..with_will(V5) };
        connect.properties.make_mut().session_expiry_interval = Some(600);
        let will = connect.will.as_mut().unwrap();
        will.properties.make_mut().will_delay_interval = Some(delay);
        connect
    };
    let (client, _) = Client::connect_with(broker.address(), delayed(true, 600));
    client.vanish();
    broker.until("it is gone", |broker| broker.clients().len() == 1);
    // [MQTT-3.1.3-9]: who comes back in time is not reported.
    let (client, connack) = Client::connect_with(broker.address(), delayed(false, 600));
    assert!(connack.session_present);
    client.disconnect();
    let (client, _) = Client::connect_with(broker.address(), delayed(false, 1));
    let since = Instant::now();
    client.vanish();
    assert_eq!(watcher.next_message().1, "offline");
    assert!(since.elapsed() >= Duration::from_millis(990), "{:?}", since.elapsed());
    watcher.expect_nothing();
}

#[test]
fn a_delayed_will_is_published_when_its_session_ends_before() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    let mut connect = with_will(V5);
    connect.properties.make_mut().session_expiry_interval = Some(0);
    connect.will.as_mut().unwrap().properties.make_mut().will_delay_interval = Some(600);
    Client::connect_with(broker.address(), connect.clone()).0.vanish();
    // [MQTT-3.1.3-9], MQTT 5, 3.1.3.2.2: whichever comes first.
    assert_eq!(watcher.next_message().1, "offline");
    connect.properties.make_mut().session_expiry_interval = Some(600);
    Client::connect_with(broker.address(), connect.clone()).0.vanish();
    broker.until("it is gone", |broker| broker.clients().len() == 1);
    watcher.expect_nothing();
    // A clean start ends the session of before.
    connect.will = None;
    Client::connect_with(broker.address(), connect).0.disconnect();
    assert_eq!(watcher.next_message().1, "offline");
    watcher.expect_nothing();
}

#[test]
fn a_will_carries_its_properties() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    let mut connect = with_will(V5);
    let values = connect.will.as_mut().unwrap().properties.make_mut();
    values.content_type = Some("text/plain".into());
    values.message_expiry_interval = Some(600);
    values.user_properties = vec![("a".into(), "b".into())];
    Client::connect_with(broker.address(), connect).0.vanish();
    let will = watcher.next_publish();
    assert_eq!(will.properties.content_type.as_deref(), Some("text/plain"));
    assert_eq!(will.properties.message_expiry_interval, Some(600));
    assert_eq!(will.properties.user_properties.len(), 1);
    assert_eq!(will.properties.will_delay_interval, None);
}

#[test]
fn a_second_connection_without_a_will_has_none() {
    let broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    let (client, _) = Client::connect_with(broker.address(), with_will(V5));
    client.disconnect();
    Client::connect(broker.address(), V5, "device").vanish();
    broker.until("it is gone", |broker| broker.clients().len() == 1);
    watcher.expect_nothing();
}

#[test]
fn wills_are_not_published_when_the_broker_closes() {
    let mut broker = TestBroker::start();
    let mut watcher = watcher(&broker);
    let (mut client, _) = Client::connect_with(broker.address(), with_will(V5));
    broker.close();
    client.expect_disconnect(ReasonCode::ServerShuttingDown);
    match watcher.try_next() {
        Some(Packet::Disconnect(_)) | None => {}
        Some(other) => panic!("unexpected {other:?}"),
    }
}

fn with_will(version: ProtocolVersion) -> Connect {
    let will = Will {
        topic: "online".try_into().unwrap(),
        payload: "offline".into(),
        qos: AtLeastOnce,
        retain: true,
        properties: Default::default(),
    };
    Connect { will: Some(will), ..Connect::new(version, "device") }
}

/// A client that sees wills with their RETAIN flag.
fn watcher(broker: &TestBroker) -> Client {
    let mut watcher = Client::connect(broker.address(), V5, "watcher");
    let options =
        latchlight_mqtt::SubscriptionOptions { retain_as_published: true, ..Default::default() };
    watcher.try_subscribe("online", options);
    watcher
}
