//! PUBLISH: its properties, how long it lives, and its aliases (MQTT 5.0, 3.3.2).

use latchlight_broker::Options;
use latchlight_mqtt::{
    Connect, Packet, PacketId, Properties, PropertyValues, ProtocolVersion, Publish, QoS,
    ReasonCode, SubscriptionOptions,
};

use crate::bytes::{STANDARDS, field, packet, properties, publish};
use crate::support::{Client, TestBroker, resuming};
use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// 5.0: [MQTT-3.3.2-2], [MQTT-4.7.0-1], [MQTT-4.7.3-1];
/// 3.1.1: [MQTT-3.3.2-2], [MQTT-4.7.1-1], [MQTT-4.7.3-1].
#[test]
fn a_topic_name_has_a_character_and_no_wildcards() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        for topic in ["", "#", "+", "a/#", "a/+/b", "a#", "+a", "a+b"] {
            for first in [0x30, 0x32, 0x34] {
                let mut client = Client::connect(broker.address(), version, "client");
                client.send_bytes(&publish(version, first, topic, 1, "x"));
                let reasons = [
                    ReasonCode::TopicNameInvalid,
                    ReasonCode::MalformedPacket,
                    ReasonCode::ProtocolError,
                ];
                client.expect_cut(version, &reasons, topic);
            }
        }
    }
}

/// 5.0: [MQTT-3.3.2-14], [MQTT-3.3.4-6].
#[test]
fn what_a_client_may_not_say_of_a_message_closes_the_connection() {
    let broker = TestBroker::start();
    let cases = [
        ("a response topic with #", [vec![0x08], field("a/#")].concat()),
        ("a response topic with +", [vec![0x08], field("+/a")].concat()),
        ("a subscription identifier", vec![0x0B, 1]),
    ];
    for (what, of_publish) in cases {
        let mut client = Client::connect(broker.address(), V5, "client");
        let body = [field("a"), properties(V5, &of_publish), b"x".into()].concat();
        client.send_bytes(&packet(0x30, &body));
        let reasons = [ReasonCode::ProtocolError, ReasonCode::TopicNameInvalid];
        client.expect_cut(V5, &reasons, what);
    }
}

/// However a message comes to its receiver: at once, at a lower QoS, with an
/// identifier or an alias, from the queue, from what is kept.
///
/// 5.0: [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17],
/// [MQTT-3.3.2-18], [MQTT-3.3.2-20].
#[test]
fn properties_come_as_they_were_sent() {
    let broker = TestBroker::start();
    let pairs = [("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("b", "3")];
    for format in [None, Some(0), Some(1)] {
        let sent = values(|values| {
            values.payload_format_indicator = format;
            values.content_type = Some("text/ü".into());
            values.response_topic = Some("answers/here".into());
            values.correlation_data = Some(vec![0, 255, 1].into());
            values.user_properties = pairs.map(|(n, v)| (n.into(), v.into())).into();
        });
        let topic = format!("format/{format:?}");
        let topic = topic.as_str();
        let (mut plain, mut low, mut many) =
            (reader(&broker, 0), reader(&broker, 0), reader(&broker, 9));
        plain.subscribe(topic, ExactlyOnce);
        low.subscribe(topic, AtMostOnce);
        let identifier = values(|values| values.subscription_identifiers = vec![7]);
        many.subscribe_with(topic, SubscriptionOptions::qos(ExactlyOnce), identifier);
        let mut offline = Client::connect_with(broker.address(), resuming(V5, topic)).0;
        offline.subscribe(topic, ExactlyOnce);
        offline.disconnect();
        let mut old = Client::connect(broker.address(), V311, "old");
        old.subscribe(topic, ExactlyOnce);

        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        let publish = Publish::new(topic.to_owned(), "x");
        let (qos, properties) = (AtLeastOnce, sent.clone());
        publisher.publish_packet(Publish { qos, retain: true, properties, ..publish });
        let mut offline = Client::connect_with(broker.address(), resuming(V5, topic)).0;
        let mut late = reader(&broker, 0);
        late.subscribe(topic, ExactlyOnce);
        for reader in [&mut plain, &mut low, &mut many, &mut offline, &mut late] {
            let mut received = reader.next_publish().properties;
            received.make_mut().subscription_identifiers.clear();
            received.make_mut().topic_alias = None;
            assert_eq!(received, sent);
        }
        assert!(old.next_publish().properties.is_empty());
    }
}

/// A client that allows this many aliases.
fn reader(broker: &TestBroker, aliases: u16) -> Client {
    let mut connect = Connect::new(V5, "");
    connect.properties.make_mut().topic_alias_maximum = Some(aliases);
    Client::connect_with(broker.address(), connect).0
}

/// MQTT 5, 3.3.2.3.2: what says that it is UTF-8 is that.
#[test]
fn a_payload_of_another_format_than_it_says_is_refused() {
    let broker = TestBroker::start();
    let mut reader = reader(&broker, 0);
    reader.subscribe("a", AtMostOnce);
    let says = |format, payload: &'static [u8]| Publish {
        properties: values(|values| values.payload_format_indicator = Some(format)),
        ..Publish::new("a", payload)
    };
    let mut client = Client::connect(broker.address(), V5, "client");
    for qos in [AtLeastOnce, ExactlyOnce] {
        let reason = client.publish_packet(Publish { qos, ..says(1, b"\xFF") });
        assert_eq!(reason, ReasonCode::PayloadFormatInvalid);
    }
    reader.expect_nothing();
    for good in [says(0, b"\xFF"), says(1, "ü".as_bytes())] {
        client.publish_packet(Publish { qos: AtLeastOnce, ..good });
        reader.next_publish();
    }
    client.send(Packet::Publish(says(1, b"\xFF")));
    client.expect_disconnect(ReasonCode::PayloadFormatInvalid);
    reader.expect_nothing();
}

/// Of what waits in a queue, of what is kept, and while a client is slow to
/// acknowledge.
///
/// 5.0: [MQTT-3.3.2-5], [MQTT-3.3.2-6].
#[test]
fn what_expires_before_it_is_sent_is_deleted() {
    let broker = TestBroker::start();
    let mut offline = Client::connect_with(broker.address(), resuming(V5, "offline")).0;
    offline.subscribe("a/+", ExactlyOnce);
    offline.disconnect();
    let mut connect = Connect::new(V5, "slow");
    connect.properties.make_mut().receive_maximum = Some(1);
    let mut slow = Client::connect_with(broker.address(), connect).0;
    slow.subscribe("a/+", ExactlyOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.publish("a/0", "first", AtLeastOnce);
    let first = slow.next_publish();
    for qos in [AtLeastOnce, ExactlyOnce] {
        for (topic, seconds) in [("a/1", 1), ("a/2", 600)] {
            publisher.publish_packet(expiring(topic, seconds, qos));
        }
    }
    wait_for_expiry(&broker);
    slow.puback(first.packet_id.unwrap());
    let mut offline = Client::connect_with(broker.address(), resuming(V5, "offline")).0;
    offline.next_publish();
    let mut late = Client::connect(broker.address(), V5, "late");
    late.subscribe("a/+", AtMostOnce);
    for (reader, copies) in [(&mut slow, 2), (&mut offline, 2), (&mut late, 1)] {
        for _ in 0..copies {
            let received = reader.next_publish();
            assert_eq!(&*received.topic, "a/2");
            let left = received.properties.message_expiry_interval.unwrap();
            assert!((500..600).contains(&left), "{left} s are left of 600");
            reader.acknowledge(&received);
        }
        reader.expect_nothing();
    }
    // What is sent at once has all of it, and what does not expire says nothing.
    publisher.publish_packet(expiring("a/2", 600, AtLeastOnce));
    assert_eq!(late.next_publish().properties.message_expiry_interval, Some(600));
    publisher.publish("a/2", "x", AtLeastOnce);
    assert_eq!(late.next_publish().properties.message_expiry_interval, None);
}

/// 5.0: [MQTT-4.3.3-7], [MQTT-4.3.3-13].
#[test]
fn what_was_sent_does_not_expire() {
    let broker = TestBroker::start();
    for qos in [AtLeastOnce, ExactlyOnce] {
        let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
        reader.subscribe("a", ExactlyOnce);
        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        let id = publisher.next_id();
        let message = Publish { packet_id: Some(id), ..expiring("a", 1, qos) };
        publisher.send(Packet::Publish(message));
        match qos {
            ExactlyOnce => publisher.next_pubrec(id),
            _ => publisher.next_puback(id),
        };
        let received = reader.next_publish();
        reader.vanish();
        wait_for_expiry(&broker);
        // Neither towards the reader, nor of the publisher's.
        let mut reader = Client::connect_with(broker.address(), resuming(V5, "reader")).0;
        let again = reader.next_publish();
        assert_eq!((again.packet_id, again.dup), (received.packet_id, true));
        assert_eq!(again.properties.message_expiry_interval, Some(0));
        reader.acknowledge(&again);
        if qos == ExactlyOnce {
            publisher.pubrel(id);
            assert_eq!(publisher.next_pubcomp(id), ReasonCode::Success);
        }
        reader.disconnect();
        Client::connect(broker.address(), V5, "reader").disconnect();
    }
}

/// A message that is kept, too, and expires after so many seconds.
fn expiring(topic: &str, seconds: u32, qos: QoS) -> Publish {
    let properties = values(|values| values.message_expiry_interval = Some(seconds));
    Publish { qos, retain: true, properties, ..Publish::new(topic.to_owned(), "x") }
}

/// Waits until what expires after a second has done so: what is kept of it is
/// gone.
fn wait_for_expiry(broker: &TestBroker) {
    let mut client = Client::connect(broker.address(), V5, "clock");
    client.publish_packet(expiring("clock", 1, AtLeastOnce));
    let filter = "clock".try_into().unwrap();
    broker.until("it expires", |broker| broker.retained(&filter).next().is_none());
    let mut late = Client::connect(broker.address(), V5, "clock");
    late.subscribe("clock", AtMostOnce);
    late.expect_nothing();
}

/// 5.0: [MQTT-3.3.2-7], [MQTT-3.3.2-8], [MQTT-3.3.2-9], [MQTT-3.3.2-12],
/// [MQTT-3.2.2-17], [MQTT-3.2.2-18].
#[test]
fn a_client_may_use_the_aliases_that_the_server_takes_on_one_connection() {
    for most in [0, 1, 50, 65_535] {
        let options = Options { topic_alias_maximum: most, ..Options::default() };
        let broker = TestBroker::with_options(options);
        let mut reader = reader(&broker, 0);
        reader.subscribe("#", AtMostOnce);
        let (mut client, connack) = Client::connect_with(broker.address(), resuming(V5, "client"));
        assert_eq!(connack.properties.topic_alias_maximum.unwrap_or(0), most);
        for alias in [1, 2, most / 2, most].into_iter().filter(|a| (1..=most).contains(a)) {
            for (topic, means) in [
                (format!("t/{alias}"), format!("t/{alias}")),
                (String::new(), format!("t/{alias}")),
            ] {
                client.send(with_alias(&topic, alias));
                assert_eq!(reader.next_message().0, means);
            }
            // It may get another meaning.
            client.send(with_alias("other", alias));
            client.send(with_alias("", alias));
            assert_eq!([reader.next_message().0, reader.next_message().0], ["other", "other"]);
        }
        if let Some(beyond) = most.checked_add(1) {
            client.send(with_alias("beyond", beyond));
            client.expect_disconnect(ReasonCode::TopicAliasInvalid);
        }
        // None is known on the next connection.
        let (mut client, connack) = Client::connect_with(broker.address(), resuming(V5, "client"));
        assert!(connack.session_present);
        client.send(with_alias("", 1));
        let reasons = [ReasonCode::ProtocolError, ReasonCode::TopicAliasInvalid];
        client.expect_cut(V5, &reasons, "an alias of before");
        let mut client = Client::connect(broker.address(), V5, "client");
        client.send_bytes(&packet(0x30, &[field("a"), vec![3, 0x23, 0, 0]].concat()));
        client.expect_cut(V5, &reasons, "alias 0");
        reader.expect_nothing();
    }
}

fn with_alias(topic: &str, alias: u16) -> Packet {
    let properties = values(|values| values.topic_alias = Some(alias));
    Packet::Publish(Publish { properties, ..Publish::new(topic.to_owned(), "x") })
}

/// 5.0: [MQTT-3.1.2-26], [MQTT-3.1.2-27], [MQTT-3.3.2-7], [MQTT-3.3.2-11].
#[test]
fn the_server_uses_the_aliases_that_a_client_takes_on_one_connection() {
    let broker = TestBroker::start();
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for most in [None, Some(0), Some(1), Some(2), Some(65_535)] {
        let mut connect = resuming(V5, "reader");
        connect.properties.make_mut().topic_alias_maximum = most;
        let mut reader = Client::connect_with(broker.address(), connect).0;
        reader.subscribe("t/#", AtLeastOnce);
        let most = most.unwrap_or(0);
        let mut known = std::collections::BTreeMap::new();
        let mut names = 0;
        for round in 0..3 {
            for topic in ["t/1", "t/2", "t/3"] {
                publisher.publish(topic, topic, [AtMostOnce, AtLeastOnce][round % 2]);
                let received = reader.next_publish();
                if let Some(alias) = received.properties.topic_alias {
                    assert!((1..=most).contains(&alias), "{alias} of {most}");
                    if !received.topic.is_empty() {
                        known.insert(alias, received.topic.clone());
                    }
                    assert_eq!(known[&alias], topic);
                } else {
                    assert_eq!(received.topic, topic);
                }
                names += usize::from(!received.topic.is_empty());
                reader.acknowledge(&received);
            }
        }
        assert_eq!(names, 9 - 2 * usize::from(most.min(3)), "aliases stand for the names");
        // Its acknowledgements have come: nothing is sent again.
        reader.expect_nothing();
    }
}

/// 5.0: [MQTT-3.3.4-7].
#[test]
fn a_client_has_no_more_open_than_the_receive_maximum() {
    let options = Options { receive_maximum: 3, ..Options::default() };
    let broker = TestBroker::with_options(options);
    let (mut client, connack) = Client::connect_with(broker.address(), Connect::new(V5, "client"));
    assert_eq!(connack.properties.receive_maximum, Some(3));
    let publish = |id| publish(V5, 0x34, "a", id, "x");
    for id in 1..=3 {
        client.send_bytes(&publish(id));
        client.next_pubrec(PacketId::new(id).unwrap());
    }
    // The place of one that is complete is free again.
    client.pubrel(PacketId::new(2).unwrap());
    client.next_pubcomp(PacketId::new(2).unwrap());
    client.send_bytes(&publish(4));
    client.next_pubrec(PacketId::new(4).unwrap());
    client.send_bytes(&publish(5));
    client.expect_disconnect(ReasonCode::ReceiveMaximumExceeded);
}

fn values(change: impl FnOnce(&mut PropertyValues)) -> Properties {
    let mut properties = Properties::new();
    change(properties.make_mut());
    properties
}
