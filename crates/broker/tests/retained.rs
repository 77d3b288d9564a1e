//! Retained messages (MQTT 5, 3.3.1.3).
#![allow(clippy::unwrap_used)]

mod support;

use latchlight_mqtt::{ProtocolVersion, Publish, QoS, ReasonCode};
use support::{Client, TestBroker, VERSIONS};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

#[test]
fn the_newest_retained_message_of_each_topic_greets_a_new_subscription() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        publisher.publish_retained("door/front", "open", AtMostOnce);
        publisher.publish_retained("door/front", "closed", AtLeastOnce);
        publisher.publish_retained("door/back", "open", ExactlyOnce);
        publisher.publish_retained("window", "open", AtLeastOnce);
        let mut subscriber = Client::connect(broker.address(), version, "subscriber");
        subscriber.subscribe("door/+", AtLeastOnce);
        let mut received: Vec<_> = (0..2).map(|_| subscriber.next_publish()).collect();
        received.sort_by(|a, b| a.topic.cmp(&b.topic));
        for (publish, (topic, payload)) in
            received.iter().zip([("door/back", "open"), ("door/front", "closed")])
        {
            assert_eq!((&*publish.topic, &publish.payload[..]), (topic, payload.as_bytes()));
            // [MQTT-3.3.1-8]
            assert!(publish.retain);
            // [MQTT-3.8.4-8]
            assert_eq!(publish.qos, AtLeastOnce);
            subscriber.acknowledge(publish);
        }
        subscriber.expect_nothing();
        subscriber.disconnect();
    }
    assert_eq!(broker.counters().retained_messages, 3);
}

#[test]
fn an_empty_payload_takes_the_retained_message_away() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    client.publish_retained("a", "kept", AtLeastOnce);
    let mut subscriber = Client::connect(broker.address(), V311, "subscriber");
    subscriber.subscribe("a", AtMostOnce);
    assert!(subscriber.next_publish().retain);
    client.publish_retained("a", "", AtLeastOnce);
    // [MQTT-3.3.1-6]; who is subscribed gets it as any message.
    let received = subscriber.next_publish();
    assert!(received.payload.is_empty() && !received.retain);
    client.subscribe("a", AtMostOnce);
    // [MQTT-3.3.1-7]
    client.expect_nothing();
    assert_eq!(broker.counters().retained_messages, 0);
    assert_eq!(broker.counters().retained_bytes, 0);
}

#[test]
fn a_message_without_the_flag_leaves_the_retained_one_alone() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    client.publish_retained("a", "kept", AtLeastOnce);
    client.publish("a", "passing", AtLeastOnce);
    client.publish("a", "", AtLeastOnce);
    client.subscribe("a", AtMostOnce);
    // [MQTT-3.3.1-8]
    assert_eq!(client.next_message().1, "kept");
}

#[test]
fn a_retained_message_carries_its_properties_and_expires() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    // The long one first, so that it is older than the short one when that is gone.
    for (topic, seconds) in [("long", 600), ("short", 1)] {
        let mut publish = Publish { retain: true, qos: AtLeastOnce, ..Publish::new(topic, "kept") };
        let values = publish.properties.make_mut();
        values.message_expiry_interval = Some(seconds);
        values.content_type = Some("text/plain".into());
        client.publish_packet(publish);
    }
    broker.until("the short one expires", |_| {
        let mut late = Client::connect(broker.address(), V5, "late");
        late.subscribe("short", AtMostOnce);
        late.send(latchlight_mqtt::Packet::PingReq);
        late.next() == latchlight_mqtt::Packet::PingResp
    });
    client.subscribe("#", AtMostOnce);
    let received = client.next_publish();
    assert_eq!(received.topic, "long");
    assert_eq!(received.properties.content_type.as_deref(), Some("text/plain"));
    // [MQTT-3.3.2-6]
    assert!(received.properties.message_expiry_interval.unwrap() < 600);
    client.expect_nothing();
}

#[test]
fn a_retained_message_beyond_the_bound_is_refused_and_the_old_ones_stay() {
    let options = latchlight_broker::Options { max_retained_messages: 2, ..Default::default() };
    let broker = TestBroker::with_options(options);
    let mut client = Client::connect(broker.address(), V5, "client");
    client.subscribe("#", AtMostOnce);
    for topic in ["a", "b"] {
        client.send(latchlight_mqtt::Packet::Publish(Publish {
            retain: true,
            ..Publish::new(topic, "kept")
        }));
        client.next_publish();
    }
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    // C14: never success for what was not kept.
    assert_eq!(publisher.publish_retained("c", "x", AtLeastOnce), ReasonCode::QuotaExceeded);
    assert_eq!(publisher.publish_retained("c", "x", ExactlyOnce), ReasonCode::QuotaExceeded);
    // A new message on a topic that has one still has its place.
    assert_eq!(publisher.publish_retained("a", "newer", AtLeastOnce), ReasonCode::Success);
    assert_eq!(broker.counters().retained_refused, 2);
    // What is not answered counts as received, what is refused does not.
    let before = broker.counters().received.messages;
    publisher.publish_retained("c", "x", AtMostOnce);
    publisher.publish_retained("c", "x", AtLeastOnce);
    let after = broker.counters().received.messages;
    assert_eq!([0, 1, 2].map(|qos| after[qos] - before[qos]), [1, 0, 0]);
    assert_eq!(broker.counters().retained_refused, 4);
    assert_eq!(broker.counters().retained_messages, 2);
    let mut late = Client::connect(broker.address(), V5, "late");
    late.subscribe("a", AtMostOnce);
    assert_eq!(late.next_message().1, "newer");
}
