//! Properties of messages on their way, topic aliases among them (MQTT 5, 3.3.2.3).
#![allow(clippy::unwrap_used)]

mod support;

use latchlight_broker::Options;
use latchlight_mqtt::{Connect, Packet, Properties, ProtocolVersion, Publish, QoS, ReasonCode};
use support::{Client, TestBroker, values};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

#[test]
fn properties_are_forwarded_as_they_came() {
    let broker = TestBroker::start();
    let mut subscriber = Client::connect(broker.address(), V5, "subscriber");
    let mut old = Client::connect(broker.address(), V311, "old");
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    subscriber.subscribe("a", AtLeastOnce);
    old.subscribe("a", AtLeastOnce);
    let properties = values(|values| {
        values.payload_format_indicator = Some(1);
        values.content_type = Some("text/plain".into());
        values.response_topic = Some("b".into());
        values.correlation_data = Some("41".into());
        // [MQTT-3.3.2-18]: in their order, repeated names too.
        values.user_properties =
            vec![("a".into(), "1".into()), ("b".into(), "2".into()), ("a".into(), "3".into())];
    });
    for qos in [AtMostOnce, AtLeastOnce] {
        let properties = properties.clone();
        publisher.publish_packet(Publish { qos, properties, ..Publish::new("a", "b") });
    }
    for _ in 0..2 {
        // [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-20]
        assert_eq!(subscriber.next_publish().properties, properties);
        assert_eq!(old.next_message(), ("a".into(), "b".into()));
    }
}

#[test]
fn a_topic_alias_of_the_publisher_stands_for_its_topic_on_its_connection_only() {
    let options = Options { topic_alias_maximum: 5, ..Options::default() };
    let broker = TestBroker::with_options(options);
    let mut subscriber = Client::connect(broker.address(), V5, "subscriber");
    subscriber.subscribe("#", AtMostOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let with_alias = |topic: &str, alias| Publish {
        properties: values(|values| values.topic_alias = Some(alias)),
        ..Publish::new(topic, "b")
    };
    // [MQTT-3.3.2-12]
    for (topic, alias, expected) in
        [("a", 5, "a"), ("", 5, "a"), ("c", 5, "c"), ("", 5, "c"), ("d", 1, "d"), ("", 1, "d")]
    {
        publisher.publish_packet(with_alias(topic, alias));
        let received = subscriber.next_publish();
        assert_eq!(received.topic, expected);
        assert_eq!(received.properties, Properties::new(), "the alias is not passed on");
    }
    // [MQTT-3.3.2-7]: nobody else's.
    let mut other = Client::connect(broker.address(), V5, "other");
    other.send(Packet::Publish(with_alias("", 5)));
    other.expect_disconnect(ReasonCode::ProtocolError);
    // [MQTT-3.3.2-9]
    publisher.send(Packet::Publish(with_alias("e", 6)));
    publisher.expect_disconnect(ReasonCode::TopicAliasInvalid);
}

#[test]
fn a_client_that_allows_topic_aliases_can_follow_them() {
    let broker = TestBroker::start();
    let mut connect = Connect::new(V5, "subscriber");
    connect.properties = values(|values| values.topic_alias_maximum = Some(2));
    let (mut subscriber, _) = Client::connect_with(broker.address(), connect);
    subscriber.subscribe("#", AtMostOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let mut names = std::collections::HashMap::new();
    for topic in ["a", "b", "a", "c", "b", "a", "c", "c"] {
        publisher.publish(topic, topic, AtMostOnce);
        let received = subscriber.next_publish();
        if let Some(alias) = received.properties.topic_alias {
            // [MQTT-3.1.2-26]
            assert!((1..=2).contains(&alias));
            if !received.topic.is_empty() {
                names.insert(alias, received.topic.to_string());
            }
            assert_eq!(names[&alias], topic);
        } else {
            assert_eq!(received.topic, topic);
        }
    }
    assert!(!names.is_empty(), "the broker uses what it is allowed");
}

#[test]
fn a_packet_larger_than_the_client_takes_is_not_sent_to_it() {
    let broker = TestBroker::start();
    let mut connect = Connect::new(V5, "small");
    connect.properties = values(|values| values.maximum_packet_size = Some(100));
    let (mut small, _) = Client::connect_with(broker.address(), connect);
    let mut large = Client::connect(broker.address(), V5, "large");
    for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
        small.subscribe("a", qos);
        large.subscribe("a", qos);
        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        publisher.publish("a", &"x".repeat(100), qos);
        publisher.publish("a", "fits", qos);
        // [MQTT-3.1.2-24], [MQTT-3.1.2-25]
        let received = small.next_publish();
        assert_eq!(received.payload, "fits");
        small.acknowledge(&received);
        let received = [large.next_publish(), large.next_publish()];
        for received in &received {
            large.acknowledge(received);
        }
    }
    assert_eq!(broker.counters().dropped_too_large, 3);
}
