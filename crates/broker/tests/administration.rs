//! Administration from code.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use latchlight_broker::{Broker, InlinePublish, Options, SubscriptionOptions, Traffic};
use latchlight_mqtt::{
    Connect, Disconnect, Packet, Properties, ProtocolVersion, Publish, QoS, ReasonCode,
    TopicFilter, Will,
};
use support::{Client, Disk, TestBroker, resuming};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

fn filter(filter: &str) -> TopicFilter {
    filter.try_into().unwrap()
}

fn client_ids(broker: &Broker) -> Vec<String> {
    broker.sessions().map(|session| session.client_id.to_string()).collect()
}

#[test]
fn sessions_are_listed_in_order_however_many_there_are() {
    let broker = TestBroker::start();
    let names: Vec<_> = (0..600).map(|number| format!("client-{number:03}")).collect();
    for name in names.iter().rev() {
        Client::connect_with(broker.address(), resuming(V5, name)).0.disconnect();
    }
    assert_eq!(client_ids(&broker), names);
    let page: Vec<_> = broker.sessions_after("client-297").take(3).collect();
    let page: Vec<_> = page.iter().map(|session| &*session.client_id).collect();
    assert_eq!(page, ["client-298", "client-299", "client-300"]);
    assert_eq!(broker.sessions_after("client-599").count(), 0);
    broker.until("they are gone", |broker| broker.clients().is_empty());
}

#[test]
fn a_session_tells_what_it_is_and_what_went_by() {
    let broker = TestBroker::start();
    let mut connect = resuming(V5, "reader");
    connect.username = Some("ann".into());
    let mut reader = Client::connect_with(broker.address(), connect.clone()).0;
    reader.subscribe("a", AtLeastOnce);
    reader.subscribe("b", AtMostOnce);
    let mut writer = Client::connect(broker.address(), V311, "writer");
    writer.publish("a", "one", AtLeastOnce);
    let first = reader.next_publish();
    writer.publish("b", "four", AtMostOnce);
    assert_eq!(reader.next_message().1, "four");
    broker.until("it is counted", |broker| {
        broker.session("reader").unwrap().received.packets == 2
            && broker.session("reader").unwrap().sent.packets == 5
    });
    let there = broker.session("reader").unwrap();
    assert!(there.connected && there.expires_in.is_none() && !there.has_will);
    assert_eq!(&*there.identity, "ann");
    assert_eq!(there.client.unwrap().version, V5);
    assert_eq!((there.subscriptions, there.in_flight, there.queued_messages), (2, 1, 0));
    // CONNACK, two SUBACK, two PUBLISH
    let Traffic { packets, messages, payload_bytes, bytes } = there.sent;
    assert_eq!((packets, messages, payload_bytes), (5, [1, 1, 0], [4, 3, 0]));
    assert!(bytes > 20);
    let said = broker.session("writer").unwrap().received;
    assert_eq!((said.messages, said.payload_bytes), ([1, 1, 0], [4, 3, 0]));
    reader.acknowledge(&first);
    reader.disconnect();
    broker.until("it is away", |broker| !broker.session("reader").unwrap().connected);
    for payload in ["x", "yy"] {
        writer.publish("a", payload, ExactlyOnce);
    }
    writer.publish("b", "nobody is there", AtMostOnce);
    let away = broker.session("reader").unwrap();
    assert_eq!((away.queued_messages, away.queued_bytes, away.dropped), (2, 5, 1));
    let left = away.expires_in.unwrap();
    assert!(left > Duration::from_secs(3500) && left <= Duration::from_secs(3600), "{left:?}");
    assert_eq!(away.sent.messages, [1, 1, 0]);
    let mut reader = Client::connect_with(broker.address(), connect).0;
    assert_eq!(reader.next_message().1, "x");
    assert_eq!(reader.next_message().1, "yy");
    broker
        .until("it goes on", |broker| broker.session("reader").unwrap().sent.messages == [1, 3, 0]);
    let all = broker.counters();
    assert_eq!(all.sent.messages, [1, 3, 0]);
    assert_eq!(all.received.messages, [2, 1, 2]);
    assert_eq!((all.clients_connected, all.clients_maximum, all.connects), (2, 2, 3));
    assert!(broker.session("nobody").is_none());
}

#[test]
fn subscriptions_are_listed() {
    let broker = TestBroker::start();
    let mut ann = Client::connect(broker.address(), V5, "ann");
    let options = SubscriptionOptions { no_local: true, ..SubscriptionOptions::qos(AtLeastOnce) };
    let mut properties = Properties::new();
    properties.make_mut().subscription_identifiers = vec![7];
    ann.subscribe_with("a/+", options, properties);
    let mut bob = Client::connect(broker.address(), V5, "bob");
    bob.subscribe("$share/group/b", ExactlyOnce);
    let all: Vec<_> = broker.subscriptions().collect();
    assert_eq!(all.len(), 2);
    assert_eq!((&*all[0].client_id, &all[0].filter), ("ann", &filter("a/+")));
    assert_eq!((all[0].options, all[0].identifier), (options, Some(7)));
    assert_eq!((&*all[1].client_id, &all[1].filter), ("bob", &filter("$share/group/b")));
    assert_eq!(broker.subscriptions_of("bob").unwrap(), all[1..]);
    assert!(broker.subscriptions_of("nobody").is_none());
    assert_eq!(broker.counters().subscriptions, 2);
    assert_eq!(broker.counters().shared_subscriptions, 1);
    bob.unsubscribe("$share/group/b");
    assert_eq!(broker.subscriptions().count(), 1);
    assert_eq!(broker.counters().shared_subscriptions, 0);
}

#[test]
fn a_client_is_disconnected_with_a_reason_and_its_session_stays() {
    let broker = TestBroker::start();
    let mut client = Client::connect_with(broker.address(), resuming(V5, "client")).0;
    assert!(broker.disconnect("client", ReasonCode::AdministrativeAction));
    client.expect_disconnect(ReasonCode::AdministrativeAction);
    broker.until("it is away", |broker| !broker.session("client").unwrap().connected);
    assert!(!broker.disconnect("client", ReasonCode::AdministrativeAction));
    assert_eq!(broker.counters().clients_connected, 0);
    assert_eq!(broker.counters().sessions, 1);
}

#[test]
fn a_session_that_is_ended_is_gone_at_once_with_all_that_waited_in_it() {
    let broker = TestBroker::start();
    let mut watcher = Client::connect(broker.address(), V311, "watcher");
    watcher.subscribe("will", AtMostOnce);
    for is_connected in [true, false] {
        let mut connect = resuming(V5, "client");
        connect.will = Some(Will {
            topic: "will".try_into().unwrap(),
            payload: "gone".into(),
            qos: AtMostOnce,
            retain: false,
            properties: Properties::new(),
        });
        let mut client = Client::connect_with(broker.address(), connect).0;
        client.subscribe("a", AtLeastOnce);
        broker.inline().publish(InlinePublish::new("a".try_into().unwrap(), "x"));
        client.next_publish();
        if !is_connected {
            client.send(Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
            broker.until("it is away", |broker| !broker.session("client").unwrap().connected);
        }
        assert!(broker.counters().waiting_bytes > 0);
        assert!(broker.wait(broker.end_session("client", ReasonCode::AdministrativeAction)));
        let counters = broker.counters();
        assert_eq!((counters.sessions, counters.clients_connected), (1, 1));
        assert_eq!((counters.subscriptions, counters.waiting_bytes), (1, 0));
        assert!(broker.session("client").is_none());
        if is_connected {
            // [MQTT-3.1.2-8]
            assert_eq!(watcher.next_message().1, "gone");
            client.expect_disconnect(ReasonCode::AdministrativeAction);
        }
        watcher.expect_nothing();
        let (client, connack) = Client::connect_with(broker.address(), resuming(V5, "client"));
        assert!(!connack.session_present);
        client.disconnect();
        broker.until("it is away", |broker| !broker.session("client").unwrap().connected);
        assert!(broker.wait(broker.end_session("client", ReasonCode::AdministrativeAction)));
    }
    assert!(!broker.wait(broker.end_session("client", ReasonCode::AdministrativeAction)));
}

#[test]
fn retained_messages_are_read_listed_and_cleared_by_filter() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V5, "client");
    for number in 0..2500 {
        let publish = Publish { retain: true, ..Publish::new(format!("n/{number:04}"), "x") };
        client.send(Packet::Publish(publish));
    }
    for topic in ["a", "a/b", "a/b/c", "ab", "b/b"] {
        client.publish_retained(topic, topic, AtLeastOnce);
    }
    let topics = |wanted: &str| -> Vec<String> {
        broker.retained(&filter(wanted)).map(|message| message.topic.to_string()).collect()
    };
    assert_eq!(topics("a/#"), ["a", "a/b", "a/b/c"]);
    assert_eq!(topics("a/+"), ["a/b"]);
    assert_eq!(topics("+/b"), ["a/b", "b/b"]);
    assert_eq!(topics("a/b/c"), ["a/b/c"]);
    assert_eq!(topics("a/b/c/d"), [""; 0]);
    assert_eq!(topics("#").len(), 2505);
    let one = broker.retained(&filter("a/b")).next().unwrap();
    assert_eq!((&*one.topic, &one.payload[..], one.qos), ("a/b", &b"a/b"[..], AtLeastOnce));
    let page: Vec<_> = broker.retained_after(&filter("n/+"), "n/1999").take(2).collect();
    assert_eq!(
        page.iter().map(|message| &*message.topic).collect::<Vec<_>>(),
        ["n/2000", "n/2001"]
    );
    assert_eq!(broker.retained_after(&filter("a/#"), "a/b/c").count(), 0);
    assert_eq!(broker.clear_retained(&filter("n/#")), 2500);
    assert_eq!(broker.counters().retained_messages, 5);
    assert!(broker.forget_retained("ab") && !broker.forget_retained("ab"));
    assert_eq!(broker.clear_retained(&filter("#")), 4);
    assert_eq!(broker.counters().retained_bytes, 0);
    client.subscribe("#", AtMostOnce);
    client.expect_nothing();
}

#[test]
fn what_an_administrator_has_taken_away_stays_away_after_a_restart() {
    let disk = Disk::default();
    let start = |disk: Disk| {
        TestBroker::build(|builder| builder.access(latchlight_broker::AllowAll).store(disk))
    };
    let mut broker = start(disk.clone());
    let mut client = Client::connect(broker.address(), V5, "client");
    client.publish_retained("kept", "x", AtLeastOnce);
    client.publish_retained("cleared/1", "x", AtLeastOnce);
    client.publish_retained("cleared/2", "x", AtLeastOnce);
    for name in ["stays", "ends"] {
        let mut client = Client::connect_with(broker.address(), resuming(V5, name)).0;
        client.subscribe("a", AtLeastOnce);
    }
    assert_eq!(broker.clear_retained(&filter("cleared/+")), 2);
    assert!(broker.wait(broker.end_session("ends", ReasonCode::AdministrativeAction)));
    assert!(broker.wait(broker.persisted()));
    let found = disk.cut();
    broker.close();
    let broker = start(found);
    assert_eq!(client_ids(&broker), ["stays"]);
    let kept: Vec<_> = broker.retained(&filter("#")).collect();
    assert_eq!(kept.iter().map(|message| &*message.topic).collect::<Vec<_>>(), ["kept"]);
    // What the broker says of itself is in no store.
    assert_eq!(broker.counters().retained_messages, 1);
}

#[test]
fn over_quota_is_0x97_and_counted() {
    let options = Options { max_queued_messages: 2, max_in_flight: 1, ..Options::default() };
    let broker = TestBroker::with_options(options);
    let mut client = Client::connect_with(broker.address(), resuming(V5, "client")).0;
    client.subscribe("a", AtLeastOnce);
    client.disconnect();
    broker.until("it is away", |broker| !broker.session("client").unwrap().connected);
    let (mut writer, _) = Client::connect_with(broker.address(), Connect::new(V5, "writer"));
    assert_eq!(writer.publish("a", "1", AtLeastOnce), ReasonCode::Success);
    assert_eq!(writer.publish("a", "2", ExactlyOnce), ReasonCode::Success);
    // C14
    assert_eq!(writer.publish("a", "3", AtLeastOnce), ReasonCode::QuotaExceeded);
    assert_eq!(writer.publish("a", "4", ExactlyOnce), ReasonCode::QuotaExceeded);
    assert_eq!(broker.session("client").unwrap().dropped, 2);
    let counters = broker.counters();
    assert_eq!((counters.dropped_queue_full, counters.dropped_at_bounds()), (2, 2));
    // What nobody took was not taken.
    assert_eq!(counters.received.messages, [0, 1, 1]);
    assert_eq!(counters.sessions_expired, 0);
}

#[test]
fn a_session_whose_time_ran_out_is_counted() {
    let broker = TestBroker::start();
    let mut connect = resuming(V5, "client");
    connect.properties.make_mut().session_expiry_interval = Some(1);
    Client::connect_with(broker.address(), connect).0.disconnect();
    broker.until("it ends", |broker| broker.counters().sessions_expired == 1);
    assert!(broker.session("client").is_none());
}
