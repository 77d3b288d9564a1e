//! SUBSCRIBE and UNSUBSCRIBE (MQTT 5, 3.8 to 3.11, 4.7 and 4.8).
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use latchlight_mqtt::{
    Connect, Packet, PacketId, Properties, PropertyValues, ProtocolVersion, Publish, QoS,
    ReasonCode, RetainHandling, SubscriptionOptions,
};
use support::{Client, TestBroker, VERSIONS};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

#[test]
fn filters_match_the_topics_that_the_standard_says() {
    let broker = TestBroker::start();
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    // MQTT 5, 4.7.1.2 and 4.7.1.3, [MQTT-4.7.2-1]
    let cases = [
        ("a/b", "a/b", true),
        ("a/b", "a/c", false),
        ("a/b", "a", false),
        ("a/b", "a/b/c", false),
        ("a/b", "A/b", false),
        ("a/+", "a/b", true),
        ("a/+", "a/", true),
        ("a/+", "a", false),
        ("a/+", "a/b/c", false),
        ("+", "a", true),
        ("+", "/a", false),
        ("/+", "/a", true),
        ("+/+", "/a", true),
        ("+/b/+", "a/b/c", true),
        ("#", "a/b/c", true),
        ("#", "/", true),
        ("a/#", "a", true),
        ("a/#", "a/", true),
        ("a/#", "a/b/c", true),
        ("a/#", "ab", false),
        ("a/+/#", "a", false),
        ("a/+/#", "a/b", true),
        ("+/#", "a/b", true),
        ("#", "$door/a", false),
        ("+/a", "$door/a", false),
        ("$door/#", "$door/a", true),
        ("$door/+", "$door/a", true),
        ("a/$door", "a/$door", true),
        ("a/+", "a/$door", true),
        ("größe/+", "größe/ß", true),
        (" /+", " / ", true),
    ];
    for (filter, topic, matches) in cases {
        let mut subscriber = Client::connect(broker.address(), V5, "subscriber");
        subscriber.subscribe(filter, AtMostOnce);
        publisher.publish(topic, "x", AtLeastOnce);
        if matches {
            assert_eq!(subscriber.next_message().0, topic, "{filter}");
        }
        subscriber.expect_nothing();
        subscriber.disconnect();
    }
}

#[test]
fn each_filter_is_answered_in_its_order() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let mut client = Client::connect(broker.address(), version, "client");
        let filters = [("a", ExactlyOnce), ("b", AtMostOnce), ("c/+", AtLeastOnce)];
        client.send(Packet::Subscribe(latchlight_mqtt::Subscribe {
            packet_id: PacketId::new(77).unwrap(),
            filters: filters
                .map(|(filter, qos)| latchlight_mqtt::SubscribeFilter {
                    filter: filter.try_into().unwrap(),
                    options: SubscriptionOptions::qos(qos),
                })
                .into(),
            properties: Properties::new(),
        }));
        let Packet::SubAck(suback) = client.next() else { panic!("no SUBACK") };
        assert_eq!(suback.packet_id.get(), 77);
        // [MQTT-3.8.4-6]
        let granted = [ReasonCode::GrantedQoS2, ReasonCode::Success, ReasonCode::GrantedQoS1];
        assert_eq!(suback.reasons, granted);
    }
}

#[test]
fn unsubscribing_ends_a_subscription_and_says_whether_there_was_one() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let mut client = Client::connect(broker.address(), version, "client");
        client.subscribe("a/+", AtMostOnce);
        client.subscribe("a/b", AtMostOnce);
        let reasons = client.unsubscribe("a/+").reasons;
        if version == V5 {
            assert_eq!(reasons, [ReasonCode::Success]);
            // [MQTT-3.10.4-1]: filters are compared character by character.
            assert_eq!(client.unsubscribe("a/c").reasons, [ReasonCode::NoSubscriptionExisted]);
        }
        // [MQTT-3.10.4-2]
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        publisher.publish("a/c", "not any more", AtMostOnce);
        publisher.publish("a/b", "still", AtMostOnce);
        assert_eq!(client.next_message(), ("a/b".into(), "still".into()));
        client.expect_nothing();
        client.disconnect();
    }
    assert_eq!(broker.counters().subscriptions, 0);
}

#[test]
fn the_same_filter_again_replaces_the_subscription() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    client.subscribe("a", ExactlyOnce);
    client.subscribe("a", AtMostOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.publish("a", "x", ExactlyOnce);
    // [MQTT-3.8.4-3]
    assert_eq!(client.next_publish().qos, AtMostOnce);
    client.expect_nothing();
    assert_eq!(broker.counters().subscriptions, 1);
}

#[test]
fn overlapping_subscriptions_bring_one_copy_with_all_identifiers() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    for (filter, qos, identifier) in [
        ("a/#", AtMostOnce, Some(1)),
        ("a/+", ExactlyOnce, Some(268_435_455)),
        ("a/b", AtLeastOnce, None),
    ] {
        let mut values = PropertyValues::default();
        values.subscription_identifiers.extend(identifier);
        client.subscribe_with(filter, SubscriptionOptions::qos(qos), values.into());
    }
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    publisher.publish("a/b", "x", ExactlyOnce);
    let received = client.next_publish();
    // [MQTT-3.3.4-2], [MQTT-3.3.4-3], [MQTT-3.3.4-4]
    assert_eq!(received.qos, ExactlyOnce);
    let mut identifiers = received.properties.subscription_identifiers.clone();
    identifiers.sort_unstable();
    assert_eq!(identifiers, [1, 268_435_455]);
    client.acknowledge(&received);
    client.expect_nothing();
    publisher.publish("a", "x", AtMostOnce);
    assert_eq!(client.next_publish().properties.subscription_identifiers, [1]);
}

#[test]
fn no_local_keeps_a_clients_own_messages_away() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    let mut other = Client::connect(broker.address(), V5, "other");
    let options = SubscriptionOptions { no_local: true, ..Default::default() };
    client.try_subscribe("a", options);
    other.subscribe("a", AtMostOnce);
    client.publish("a", "mine", AtMostOnce);
    // [MQTT-3.8.3-3]
    client.expect_nothing();
    assert_eq!(other.next_message().1, "mine");
    other.send(Packet::Publish(Publish::new("a", "theirs")));
    assert_eq!(client.next_message().1, "theirs");
}

#[test]
fn retain_as_published_keeps_the_flag() {
    let broker = TestBroker::start();
    let mut keeps = Client::connect(broker.address(), V5, "keeps");
    let mut drops = Client::connect(broker.address(), V5, "drops");
    let options = SubscriptionOptions { retain_as_published: true, ..Default::default() };
    keeps.try_subscribe("a", options);
    drops.subscribe("a", AtMostOnce);
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    publisher.publish_retained("a", "x", AtLeastOnce);
    publisher.publish("a", "x", AtLeastOnce);
    // [MQTT-3.3.1-13], [MQTT-3.3.1-12]
    assert!(keeps.next_publish().retain);
    assert!(!keeps.next_publish().retain);
    assert!(!drops.next_publish().retain);
    assert!(!drops.next_publish().retain);
}

#[test]
fn retain_handling_says_which_kept_messages_come() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    client.publish_retained("a", "kept", AtLeastOnce);
    let with = |retain_handling| SubscriptionOptions { retain_handling, ..Default::default() };
    // [MQTT-3.3.1-11]
    client.try_subscribe("a", with(RetainHandling::DoNotSend));
    client.expect_nothing();
    // [MQTT-3.3.1-10]: it is not new.
    client.try_subscribe("a", with(RetainHandling::SendIfNew));
    client.expect_nothing();
    // [MQTT-3.3.1-9]
    client.try_subscribe("a", with(RetainHandling::Send));
    let received = client.next_publish();
    assert!(received.retain);
    assert_eq!(received.payload, "kept");
    client.unsubscribe("a");
    client.try_subscribe("a", with(RetainHandling::SendIfNew));
    assert_eq!(client.next_publish().payload, "kept");
    client.expect_nothing();
}

#[test]
fn a_shared_subscription_gives_each_message_to_one_member() {
    let broker = TestBroker::start();
    let mut members: Vec<_> = ["one", "two", "three"]
        .map(|id| {
            let version = if id == "two" { V311 } else { V5 };
            let mut client = Client::connect(broker.address(), version, id);
            client.subscribe("$share/group/a/+", AtLeastOnce);
            client
        })
        .into();
    let mut alone = Client::connect(broker.address(), V5, "alone");
    alone.subscribe("$share/other/a/+", AtLeastOnce);
    let mut all = Client::connect(broker.address(), V5, "all");
    all.subscribe("a/+", AtLeastOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for number in 0..30 {
        publisher.publish("a/b", &number.to_string(), AtLeastOnce);
    }
    // [MQTT-4.8.2-4]
    let mut seen = BTreeMap::new();
    for member in &mut members {
        let mut count = 0;
        member.send(Packet::PingReq);
        while let Packet::Publish(received) = member.next() {
            member.acknowledge(&received);
            assert!(seen.insert(received.payload, ()).is_none(), "one member only");
            count += 1;
        }
        assert_eq!(count, 10, "each has its turn");
    }
    assert_eq!(seen.len(), 30);
    for client in [&mut alone, &mut all] {
        for number in 0..30 {
            let received = client.next_publish();
            assert_eq!(received.payload, number.to_string());
            client.acknowledge(&received);
        }
    }
}

#[test]
fn a_member_that_is_offline_is_passed_over_while_another_is_connected() {
    let broker = TestBroker::start();
    let durable = |id: &str| {
        let mut connect = Connect { clean_start: false, ..Connect::new(V5, id) };
        connect.properties.make_mut().session_expiry_interval = Some(600);
        Client::connect_with(broker.address(), connect).0
    };
    let mut one = durable("one");
    let mut two = durable("two");
    one.subscribe("$share/group/a", AtLeastOnce);
    two.subscribe("$share/group/a", AtLeastOnce);
    one.disconnect();
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for number in 0..4 {
        publisher.publish("a", &number.to_string(), AtLeastOnce);
        assert_eq!(two.next_publish().payload, number.to_string());
    }
    two.disconnect();
    // Nobody is there: it waits for one of them.
    assert_eq!(publisher.publish("a", "waits", AtLeastOnce), ReasonCode::Success);
    let mut waiting = Vec::new();
    for mut client in [durable("one"), durable("two")] {
        client.send(Packet::PingReq);
        while let Packet::Publish(received) = client.next() {
            waiting.push(received.payload);
        }
    }
    waiting.retain(|payload| payload == "waits");
    assert_eq!(waiting.len(), 1);
}

#[test]
fn an_offline_member_leaves_the_others_turns_fair() {
    let broker = TestBroker::start();
    let mut gone = Connect { clean_start: false, ..Connect::new(V5, "gone") };
    gone.properties.make_mut().session_expiry_interval = Some(600);
    let (mut gone, _) = Client::connect_with(broker.address(), gone);
    let mut members = ["one", "two"].map(|id| Client::connect(broker.address(), V5, id));
    members[0].subscribe("$share/group/a", AtMostOnce);
    gone.subscribe("$share/group/a", AtLeastOnce);
    members[1].subscribe("$share/group/a", AtMostOnce);
    gone.disconnect();
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for _ in 0..10 {
        publisher.publish("a", "x", AtLeastOnce);
    }
    for member in &mut members {
        for _ in 0..5 {
            member.next_publish();
        }
        member.expect_nothing();
    }
}

#[test]
fn shared_subscriptions_get_no_kept_messages() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    client.publish_retained("a", "kept", AtLeastOnce);
    // MQTT 5, 3.8.4 and 4.8.2: retained messages are not sent to a new shared subscription.
    client.subscribe("$share/group/a", AtLeastOnce);
    client.expect_nothing();
}

#[test]
fn malformed_subscriptions_end_the_connection() {
    let broker = TestBroker::start();
    let cases: [(&[u8], ReasonCode); 5] = [
        // [MQTT-3.8.3-2] no filter
        (&[0x82, 3, 0, 1, 0], ReasonCode::ProtocolError),
        // [MQTT-3.8.3-5] reserved bits
        (&[0x82, 7, 0, 1, 0, 0, 1, b'a', 0xC0], ReasonCode::MalformedPacket),
        // [MQTT-3.8.1-1] flags of the fixed header
        (&[0x80, 7, 0, 1, 0, 0, 1, b'a', 0], ReasonCode::MalformedPacket),
        // MQTT 5, 3.8.3.1: Retain Handling 3
        (&[0x82, 7, 0, 1, 0, 0, 1, b'a', 0x30], ReasonCode::ProtocolError),
        // [MQTT-3.10.3-2] no filter
        (&[0xA2, 3, 0, 1, 0], ReasonCode::ProtocolError),
    ];
    for (bytes, reason) in cases {
        let mut client = Client::connect(broker.address(), V5, "client");
        client.send_bytes(bytes);
        client.expect_disconnect(reason);
    }
}

#[test]
fn a_filter_with_misplaced_wildcards_is_refused() {
    let broker = TestBroker::start();
    for filter in ["a#", "#/a", "a+", "+a/b", "$share/group", "$share//a", "$share/g+/a", ""] {
        let mut client = Client::connect(broker.address(), V5, "client");
        let mut body = vec![0, 1, 0, 0, u8::try_from(filter.len()).unwrap()];
        body.extend_from_slice(filter.as_bytes());
        body.push(0);
        let mut bytes = vec![0x82, u8::try_from(body.len()).unwrap()];
        bytes.extend(body);
        client.send_bytes(&bytes);
        // [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1], [MQTT-4.8.2-1], [MQTT-4.8.2-2]
        client.expect_disconnect(ReasonCode::TopicFilterInvalid);
    }
}
