//! Sessions: Clean Start, expiry and what is kept (MQTT 5.0 and 3.1.1, 3.1.2.4,
//! 3.1.2.11.2, 3.2.2.1.1 and 4.1).

use std::time::Duration;

use latchlight_broker::Options;
use latchlight_mqtt::{
    Connect, Disconnect, Packet, Properties, PropertyValues, ProtocolVersion, QoS, ReasonCode,
};

use crate::bytes::STANDARDS;
use crate::support::{Client, TestBroker, VERSIONS, resuming};
use ProtocolVersion::{V5, V31, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// 5.0: [MQTT-3.1.2-5], [MQTT-3.1.2-6], [MQTT-3.1.2-23], [MQTT-3.2.2-3],
/// [MQTT-4.5.0-1];
/// 3.1.1: [MQTT-3.1.2-4], [MQTT-3.1.2-5], [MQTT-3.2.2-2], [MQTT-3.2.2-3],
/// [MQTT-4.1.0-1], [MQTT-4.5.0-1].
#[test]
fn a_session_goes_on_with_its_subscriptions_and_what_waited() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let (mut client, connack) =
            Client::connect_with(broker.address(), resuming(version, "client"));
        assert!(!connack.session_present);
        client.subscribe("a", ExactlyOnce);
        client.disconnect();
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        for qos in [AtLeastOnce, ExactlyOnce] {
            publisher.publish("a", "waited", qos);
        }
        let (mut client, connack) =
            Client::connect_with(broker.address(), resuming(version, "client"));
        assert!(connack.session_present);
        for qos in [AtLeastOnce, ExactlyOnce] {
            let publish = client.next_publish();
            assert_eq!((publish.qos, &publish.payload[..]), (qos, &b"waited"[..]));
            client.acknowledge(&publish);
        }
        publisher.publish("a", "now", AtLeastOnce);
        assert_eq!(client.next_message().1, "now");
        // So it does where the network was gone.
        client.vanish();
        broker.until("it is gone", |broker| broker.counters().connections == 1);
        publisher.publish("a", "then", AtLeastOnce);
        let (mut client, connack) =
            Client::connect_with(broker.address(), resuming(version, "client"));
        assert!(connack.session_present);
        assert_eq!([client.next_message().1, client.next_message().1], ["now", "then"]);
        Client::connect(broker.address(), version, "client").disconnect();
    }
}

/// 5.0: [MQTT-3.1.2-4], [MQTT-3.1.4-4], [MQTT-3.2.2-2];
/// 3.1.1: [MQTT-3.1.2-6], [MQTT-3.1.4-3], [MQTT-3.2.2-1].
#[test]
fn a_clean_start_discards_the_session() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        let connect = |clean_start| Connect { clean_start, ..resuming(version, "client") };
        let (mut client, _) = Client::connect_with(broker.address(), connect(false));
        client.subscribe("a", ExactlyOnce);
        publisher.publish("a", "in flight", ExactlyOnce);
        client.next_publish();
        // What the client had not released is forgotten, too.
        let id = client.next_id();
        client.send_bytes(&crate::bytes::publish(version, 0x34, "b", id.get(), "1"));
        client.next_pubrec(id);
        client.vanish();
        broker.until("it is gone", |broker| broker.counters().connections == 1);
        publisher.publish("a", "waits", AtLeastOnce);
        let (mut client, connack) = Client::connect_with(broker.address(), connect(true));
        assert!(!connack.session_present);
        publisher.publish("a", "is not subscribed", AtLeastOnce);
        client.expect_nothing();
        publisher.subscribe("b", AtMostOnce);
        client.send_bytes(&crate::bytes::publish(version, 0x34, "b", id.get(), "2"));
        client.next_pubrec(id);
        assert_eq!(publisher.next_message().1, "2", "a new message, though its id was in use");
        client.vanish();
        broker.until("it is gone", |broker| broker.counters().connections == 1);
        if version == V311 {
            // With Clean Session, the new one ends with its connection.
            broker.until("it has ended", |broker| broker.counters().sessions == 1);
        }
        let (client, connack) = Client::connect_with(broker.address(), connect(false));
        assert_eq!(connack.session_present, version == V5);
        client.disconnect();
        Client::connect(broker.address(), version, "client").disconnect();
    }
}

/// 5.0: [MQTT-4.1.0-2];
/// 3.1.1: [MQTT-3.1.2-6].
#[test]
fn a_session_ends_with_its_connection_or_when_its_expiry_is_over() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let client = Client::connect(broker.address(), version, "client");
        assert_eq!(broker.counters().sessions, 1);
        client.disconnect();
        broker.until("it has ended", |broker| broker.counters().sessions == 0);
        Client::connect(broker.address(), version, "client").vanish();
        broker.until("it has ended", |broker| broker.counters().sessions == 0);
    }
    let mut connect = resuming(V5, "client");
    connect.properties = expiry(3);
    Client::connect_with(broker.address(), connect.clone()).0.disconnect();
    assert_eq!(broker.counters().sessions, 1, "not at once");
    assert!(Client::connect_with(broker.address(), connect.clone()).1.session_present);
    broker.until("it has ended", |broker| broker.counters().sessions == 0);
    assert!(!Client::connect_with(broker.address(), connect).1.session_present);
}

/// Before MQTT 5 there is no expiry: it waits as long as the broker lets any.
///
/// 3.1.1: [MQTT-3.1.2-4].
#[test]
fn a_session_without_an_expiry_waits() {
    let broker = TestBroker::start();
    for version in [V31, V311] {
        Client::connect_with(broker.address(), resuming(version, "client")).0.vanish();
        // Longer than a session of another client's that has one.
        let mut short = resuming(V5, "short");
        short.properties = expiry(1);
        Client::connect_with(broker.address(), short).0.disconnect();
        broker.until("that has ended", |broker| broker.counters().sessions == 1);
        let (client, connack) = Client::connect_with(broker.address(), resuming(version, "client"));
        // 3.1 has no word for it.
        assert_eq!(connack.session_present, version == V311);
        client.disconnect();
        Client::connect(broker.address(), version, "client").disconnect();
        broker.until("that has ended", |broker| broker.counters().sessions == 0);
    }
}

/// 5.0: [MQTT-4.1.0-1];
/// 3.1.1: [MQTT-4.1.0-2].
#[test]
fn a_session_lasts_while_its_connection_is_open() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        // One that ends with its connection, and one whose expiry is short.
        let connect = match version {
            V5 => Connect { properties: expiry(1), ..Connect::new(V5, "client") },
            _ => Connect::new(version, "client"),
        };
        let (mut client, _) = Client::connect_with(broker.address(), connect);
        client.subscribe("a", AtLeastOnce);
        let mut short = resuming(V5, "short");
        short.properties = expiry(2);
        Client::connect_with(broker.address(), short).0.disconnect();
        broker.until("that has ended", |broker| broker.counters().sessions == 1);
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        publisher.publish("a", "still there", AtLeastOnce);
        assert_eq!(client.next_message().1, "still there");
        publisher.disconnect();
        client.disconnect();
        broker.until("all have ended", |broker| broker.counters().sessions == 0);
    }
}

/// 3.1.1: [MQTT-3.1.2-7].
#[test]
fn retained_messages_do_not_end_with_a_session() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let mut client = Client::connect(broker.address(), version, "client");
        client.publish_retained("a", "kept", AtLeastOnce);
        client.disconnect();
        broker.until("it has ended", |broker| broker.counters().sessions == 0);
        let mut client = Client::connect(broker.address(), version, "client");
        client.subscribe("a", AtMostOnce);
        assert_eq!(client.next_message().1, "kept");
        client.disconnect();
    }
}

/// MQTT 5, 3.1.2.11.2, 3.2.2.3.2 and 3.14.2.2.2: the expiry may be changed at
/// the end, but not from 0; the server may lower it, and says so.
#[test]
fn the_expiry_is_capped_and_can_be_changed_at_the_end() {
    let options = Options { max_session_expiry: Duration::from_secs(100), ..Options::default() };
    let broker = TestBroker::with_options(options);
    for (asked, answer) in
        [(0, None), (99, None), (100, None), (101, Some(100)), (u32::MAX, Some(100))]
    {
        let connect = Connect { properties: expiry(asked), ..Connect::new(V5, "client") };
        let (client, connack) = Client::connect_with(broker.address(), connect);
        assert_eq!(connack.properties.session_expiry_interval, answer, "{asked}");
        client.disconnect();
    }
    Client::connect(broker.address(), V5, "client").disconnect();
    let goodbye = |seconds| Disconnect {
        properties: expiry(seconds),
        ..Disconnect::new(ReasonCode::Success)
    };
    let connect = |seconds| Connect { properties: expiry(seconds), ..Connect::new(V5, "client") };
    let (client, _) = Client::connect_with(broker.address(), connect(60));
    client.disconnect_with(goodbye(0));
    broker.until("it has ended", |broker| broker.counters().sessions == 0);
    let (client, _) = Client::connect_with(broker.address(), connect(1));
    client.disconnect_with(goodbye(60));
    let mut short = resuming(V5, "short");
    short.properties = expiry(2);
    Client::connect_with(broker.address(), short).0.disconnect();
    broker.until("that has ended", |broker| broker.counters().sessions == 1);
    assert!(Client::connect_with(broker.address(), resuming(V5, "client")).1.session_present);
    let (mut client, _) = Client::connect_with(broker.address(), connect(0));
    client.send(Packet::Disconnect(goodbye(60)));
    client.expect_disconnect(ReasonCode::ProtocolError);
    broker.until("it has ended", |broker| broker.counters().sessions == 0);
}

fn expiry(seconds: u32) -> Properties {
    PropertyValues { session_expiry_interval: Some(seconds), ..Default::default() }.into()
}
