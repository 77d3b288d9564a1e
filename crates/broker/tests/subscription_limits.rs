//! Subscriptions and topics at each limit and at one more (C13), and what over
//! quota looks like (C14).
#![allow(clippy::unwrap_used)]

mod support;

use latchlight_broker::Options;
use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion, Publish, QoS, ReasonCode, Subscribe,
    SubscribeFilter, SubscriptionOptions,
};
use support::{Client, TestBroker, VERSIONS};

use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce};

#[test]
fn subscriptions() {
    let broker = with(|options| options.max_subscriptions = 2);
    for version in VERSIONS {
        let mut client = Client::connect(broker.address(), version, "client");
        client.subscribe("a", AtMostOnce);
        client.subscribe("b", AtMostOnce);
        let reason = client.try_subscribe("c", SubscriptionOptions::default());
        let expected =
            if version == V5 { ReasonCode::QuotaExceeded } else { ReasonCode::UnspecifiedError };
        assert_eq!(reason, expected);
        // One that it has may be changed, and one that is given up makes room.
        client.subscribe("b", AtLeastOnce);
        client.unsubscribe("a");
        client.subscribe("c", AtMostOnce);
    }
}

#[test]
fn subscriptions_in_one_packet() {
    let broker = with(|options| options.max_subscriptions = 2);
    let mut client = Client::connect(broker.address(), V5, "client");
    let filter = |filter: &str| SubscribeFilter {
        filter: filter.try_into().unwrap(),
        options: SubscriptionOptions::qos(AtMostOnce),
    };
    client.send(Packet::Subscribe(Subscribe {
        packet_id: PacketId::MIN,
        filters: ["a", "b", "c"].map(filter).into(),
        properties: Default::default(),
    }));
    let Packet::SubAck(ack) = client.next() else { panic!("expected SUBACK") };
    let expected = [ReasonCode::Success, ReasonCode::Success, ReasonCode::QuotaExceeded];
    assert_eq!(ack.reasons, expected);
    assert_eq!(broker.counters().subscriptions, 2);
}

#[test]
fn shared_subscriptions() {
    let broker = with(|options| options.max_shared_subscriptions = 2);
    for version in VERSIONS {
        let mut client = Client::connect(broker.address(), version, "client");
        // Those that are not shared do not count.
        for filter in ["a", "b", "c", "$share/g/a", "$share/h/a"] {
            client.subscribe(filter, AtMostOnce);
        }
        let reason = client.try_subscribe("$share/g/b", SubscriptionOptions::default());
        let expected =
            if version == V5 { ReasonCode::QuotaExceeded } else { ReasonCode::UnspecifiedError };
        assert_eq!(reason, expected);
        // One that it has may be changed, and one that is given up makes room.
        client.subscribe("$share/h/a", AtLeastOnce);
        client.unsubscribe("c");
        let reason = client.try_subscribe("$share/g/b", SubscriptionOptions::default());
        assert_eq!(reason, expected);
        client.unsubscribe("$share/g/a");
        client.subscribe("$share/g/b", AtMostOnce);
    }
}

#[test]
fn topic_depth() {
    let broker = with(|options| options.max_topic_levels = 3);
    let mut client = Client::connect(broker.address(), V5, "client");
    client.subscribe("a/b/c", AtMostOnce);
    client.subscribe("$share/group/a/b/+", AtMostOnce);
    let reason = client.try_subscribe("a/b/c/#", SubscriptionOptions::default());
    assert_eq!(reason, ReasonCode::TopicFilterInvalid);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    assert_eq!(publisher.publish("a/b/c", "x", AtLeastOnce), ReasonCode::Success);
    let too_deep =
        Publish { qos: AtLeastOnce, packet_id: PacketId::new(9), ..Publish::new("a/b/c/d", "x") };
    publisher.send(Packet::Publish(too_deep));
    // In the acknowledgement or by the end: never a success.
    match publisher.next() {
        Packet::PubAck(ack) => assert_eq!(ack.reason, ReasonCode::TopicNameInvalid),
        Packet::Disconnect(end) => assert_eq!(end.reason, ReasonCode::TopicNameInvalid),
        other => panic!("unexpected {other:?}"),
    }
}

/// However many levels the options allow: the deepest topic that is taken
/// harms nobody, and deeper ones are refused everywhere.
#[test]
fn a_topic_of_slashes() {
    let broker = with(|options| options.max_topic_levels = usize::MAX);
    let mut client = Client::connect(broker.address(), V5, "client");
    let deep = "/".repeat(1023);
    client.publish_retained(&deep, "x", AtLeastOnce);
    client.subscribe(&deep, AtMostOnce);
    assert_eq!(client.next_message().0, deep);
    client.unsubscribe(&deep);
    client.subscribe("#", AtMostOnce);
    assert_eq!(client.next_message().0, deep);

    let deeper = "/".repeat(65_000);
    let reason = client.try_subscribe(&deeper, SubscriptionOptions::default());
    assert_eq!(reason, ReasonCode::TopicFilterInvalid);
    let will = latchlight_mqtt::Will {
        topic: deeper.as_str().try_into().unwrap(),
        payload: "x".into(),
        qos: AtMostOnce,
        retain: true,
        properties: Default::default(),
    };
    let connect = Connect { will: Some(will), ..Connect::new(V5, "dying") };
    let options = Options { max_connect_size: 100_000, ..Options::default() };
    let generous = TestBroker::with_options(options);
    let (_, connack) = Client::try_connect(generous.address(), connect);
    assert_eq!(connack.reason, ReasonCode::TopicNameInvalid);
    client.send(Packet::Publish(Publish { retain: true, ..Publish::new(deeper, "x") }));
    client.expect_disconnect(ReasonCode::TopicNameInvalid);
}

#[test]
fn subscription_bytes() {
    // A filter of one letter takes 1 + 128 bytes.
    let broker = with(|options| options.max_subscription_bytes = 3 * 129);
    let mut client = Client::connect(broker.address(), V5, "client");
    let options = SubscriptionOptions::qos(AtMostOnce);
    for filter in ["a", "b", "a", "c"] {
        assert_eq!(client.try_subscribe(filter, options), ReasonCode::Success);
    }
    assert_eq!(client.try_subscribe("d", options), ReasonCode::QuotaExceeded);
    client.unsubscribe("a");
    assert_eq!(client.try_subscribe("d/", options), ReasonCode::QuotaExceeded);
    assert_eq!(client.try_subscribe("d", options), ReasonCode::Success);
}

/// Filters that look at much and bring little: those of one packet are held to
/// a million topics together, and the last one.
#[test]
fn topics_that_one_packet_looks_at() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    for number in 0..999 {
        client.publish_retained(&format!("{number}/a"), "x", AtLeastOnce);
    }
    // 1,999 each: the root of the tree, and two levels of it.
    let filter = |number: usize| SubscribeFilter {
        filter: format!("+/+/{number}").as_str().try_into().unwrap(),
        options: SubscriptionOptions::qos(AtMostOnce),
    };
    let mut subscribe = |filters: Vec<SubscribeFilter>| {
        let properties = Default::default();
        client.send(Packet::Subscribe(Subscribe { packet_id: PacketId::MIN, filters, properties }));
        match client.next() {
            Packet::SubAck(ack) => ack.reasons,
            other => panic!("expected SUBACK, received {other:?}"),
        }
    };
    let reasons = subscribe((0..502).map(filter).collect());
    let refused = reasons.iter().filter(|reason| **reason == ReasonCode::QuotaExceeded).count();
    assert_eq!((reasons.len(), refused), (502, 1));
    // In a packet of its own it has its turn.
    assert_eq!(subscribe(vec![filter(501)]), [ReasonCode::Success]);
}

fn with(change: impl FnOnce(&mut Options)) -> TestBroker {
    let mut options = Options::default();
    change(&mut options);
    TestBroker::with_options(options)
}
