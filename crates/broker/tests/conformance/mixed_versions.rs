//! Clients of all versions at one broker: what one says in MQTT 5 that another
//! has no words for (MQTT 5.0, 3.1.1 and 3.1 together).

use latchlight_mqtt::{
    Connect, Disconnect, Packet, Properties, ProtocolVersion, Publish, QoS, ReasonCode,
    SubscriptionOptions, Will,
};

use crate::bytes::{field, packet, properties, publish};
use crate::support::{Client, TestBroker, VERSIONS, resuming};
use ProtocolVersion::{V5, V31, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// The versions without properties.
const OLD: [ProtocolVersion; 2] = [V31, V311];

/// One reader of each version, in the order of `VERSIONS`.
fn readers(broker: &TestBroker, filter: &str, qos: QoS) -> [Client; 3] {
    VERSIONS.map(|version| {
        let mut reader = Client::connect(broker.address(), version, &format!("reader {version}"));
        reader.subscribe(filter, qos);
        reader
    })
}

#[test]
fn properties_come_to_who_knows_them_and_the_rest_comes_to_all() {
    let broker = TestBroker::start();
    let pair = [vec![0x26], field("name"), field("value")].concat();
    let all = [vec![0x01, 1, 0x03], field("text"), vec![0x08], field("answers"), pair].concat();
    let said = [field("a"), properties(V5, &all), b"hello".into()].concat();
    let [mut v31, mut v311, mut v5] = readers(&broker, "a", AtMostOnce);
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    publisher.send_bytes(&packet(0x30, &said));
    assert_eq!(v5.next_bytes(), packet(0x30, &said));
    for old in [&mut v31, &mut v311] {
        assert_eq!(old.next_bytes(), publish(V311, 0x30, "a", 0, "hello"));
    }
    // What an old one publishes has none, also where it looks like some.
    for version in OLD {
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        publisher.send_bytes(&publish(version, 0x30, "a", 0, "\u{1}\u{1}"));
        assert_eq!(v5.next_bytes(), publish(V5, 0x30, "a", 0, "\u{1}\u{1}"));
        for old in [&mut v31, &mut v311] {
            assert_eq!(old.next_bytes(), publish(V311, 0x30, "a", 0, "\u{1}\u{1}"));
        }
    }
}

#[test]
fn an_alias_of_one_is_a_name_for_the_others_and_the_other_way_round() {
    let broker = TestBroker::start();
    let [mut v31, mut v311, mut v5] = readers(&broker, "a", AtMostOnce);
    let mut connect = Connect::new(V5, "follows");
    connect.properties.make_mut().topic_alias_maximum = Some(1);
    let mut follows = Client::connect_with(broker.address(), connect).0;
    follows.subscribe("a", AtMostOnce);
    let alias = properties(V5, &[0x23, 0, 7]);
    let by_alias = |topic: &str| packet(0x30, &[field(topic), alias.clone()].concat());
    for publisher_version in VERSIONS {
        let mut publisher = Client::connect(broker.address(), publisher_version, "publisher");
        for number in 0..2 {
            publisher.send_bytes(&match (publisher_version, number) {
                (V5, 0) => by_alias("a"),
                (V5, _) => by_alias(""),
                (version, _) => publish(version, 0x30, "a", 0, ""),
            });
            for reader in [&mut v31, &mut v311, &mut v5] {
                let received = reader.next_publish();
                assert_eq!((&*received.topic, received.properties.topic_alias), ("a", None));
            }
            let received = follows.next_publish();
            let is_first = publisher_version == VERSIONS[0] && number == 0;
            assert_eq!(received.topic, if is_first { "a" } else { "" });
            assert_eq!(received.properties.topic_alias, Some(1));
        }
    }
}

#[test]
fn what_has_expired_comes_to_nobody_whatever_they_speak() {
    let broker = TestBroker::start();
    for version in VERSIONS {
        let mut sleeper = Client::connect_with(broker.address(), resuming(version, "sleeper")).0;
        sleeper.subscribe("a", AtLeastOnce);
        sleeper.vanish();
        broker.until("it is gone", |broker| broker.counters().connections == 0);
        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        for (topic, retain) in [("a", false), ("kept", true)] {
            let mut message = Publish { retain, qos: AtLeastOnce, ..Publish::new(topic, "old") };
            message.properties.make_mut().message_expiry_interval = Some(1);
            publisher.publish_packet(message);
        }
        publisher.publish("a", "stays", AtLeastOnce);
        // By the broker's own clock: it has forgotten the kept one.
        broker.until("it has expired", |broker| broker.counters().retained_messages == 0);
        let mut sleeper = Client::connect_with(broker.address(), resuming(version, "sleeper")).0;
        assert_eq!(sleeper.next_message().1, "stays");
        sleeper.subscribe("kept", AtMostOnce);
        sleeper.expect_nothing();
        drop(sleeper);
        Client::connect(broker.address(), version, "sleeper").disconnect();
        publisher.disconnect();
        broker.until("all are gone", |broker| broker.counters().connections == 0);
    }
}

#[test]
fn retain_is_forwarded_to_who_can_ask_for_it_whoever_published() {
    let broker = TestBroker::start();
    let [mut v31, mut v311, mut v5] = readers(&broker, "a", AtMostOnce);
    let mut asks = Client::connect(broker.address(), V5, "asks");
    let options =
        SubscriptionOptions { retain_as_published: true, ..SubscriptionOptions::qos(AtMostOnce) };
    asks.try_subscribe("a", options);
    for version in VERSIONS {
        for (retain, first) in [(true, 0x31), (false, 0x30)] {
            let mut publisher = Client::connect(broker.address(), version, "publisher");
            publisher.send_bytes(&publish(version, first, "a", 0, "x"));
            assert_eq!(asks.next_publish().retain, retain);
            for reader in [&mut v31, &mut v311, &mut v5] {
                assert!(!reader.next_publish().retain);
            }
        }
    }
}

#[test]
fn the_options_of_a_subscription_outlast_the_version_that_made_it() {
    let broker = TestBroker::start();
    let mut publisher = Client::connect(broker.address(), V311, "publisher");
    let mut client = Client::connect_with(broker.address(), resuming(V5, "client")).0;
    let options = SubscriptionOptions {
        no_local: true,
        retain_as_published: true,
        ..SubscriptionOptions::qos(AtLeastOnce)
    };
    let mut identified = Properties::new();
    identified.make_mut().subscription_identifiers = vec![7];
    client.subscribe_with("a/#", options, identified);
    for version in [V31, V311, V5] {
        client.vanish();
        broker.until("it is gone", |broker| broker.counters().connections == 1);
        client = Client::connect_with(broker.address(), resuming(version, "client")).0;
        client.publish("a/b", "its own", AtLeastOnce);
        client.expect_nothing();
        publisher.publish_retained("a/b", "another's", AtMostOnce);
        let received = client.next_publish();
        assert!(received.retain);
        let identifiers: &[u32] = if version == V5 { &[7] } else { &[] };
        assert_eq!(received.properties.subscription_identifiers, identifiers);
    }
}

#[test]
fn members_of_all_versions_share_fairly_with_and_without_a_connection() {
    let broker = TestBroker::start();
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    let connect = |version: ProtocolVersion| {
        Client::connect_with(broker.address(), resuming(version, &format!("member {version}"))).0
    };
    let mut members = VERSIONS.map(|version| {
        let mut member = connect(version);
        member.subscribe("$share/all/a", ExactlyOnce);
        member
    });
    let mut publish = |payloads: std::ops::Range<usize>| {
        for number in payloads {
            publisher.publish("a", &number.to_string(), [AtLeastOnce, ExactlyOnce][number % 2]);
        }
    };
    let mut received = Vec::new();
    let mut take = |member: &mut Client, count: usize| {
        let messages: Vec<_> = (0..count).map(|_| member.next_publish()).collect();
        for message in messages {
            member.acknowledge(&message);
            received.push(String::from_utf8(message.payload.to_vec()).unwrap());
        }
        member.expect_nothing();
    };
    publish(0..9);
    members.iter_mut().for_each(|member| take(member, 3));
    // One is away, of each version in its turn: the others share.
    for (at, version) in VERSIONS.into_iter().enumerate() {
        std::mem::replace(&mut members[at], Client::connect(broker.address(), V5, "nobody"))
            .vanish();
        broker.until("it is gone", |broker| broker.clients().len() == 4);
        publish(9 + 4 * at..13 + 4 * at);
        for (other, member) in members.iter_mut().enumerate() {
            if other != at {
                take(member, 2);
            }
        }
        members[at] = connect(version);
        members[at].expect_nothing();
        broker.until("all are here", |broker| broker.clients().len() == 4);
    }
    // All are away: it waits, for all of them together.
    members.into_iter().for_each(Client::vanish);
    broker.until("they are gone", |broker| broker.clients().len() == 1);
    publish(21..30);
    let mut late: Vec<String> = Vec::new();
    for version in VERSIONS {
        let mut member = connect(version);
        member.send(Packet::PingReq);
        let mut waited = Vec::new();
        loop {
            match member.next() {
                Packet::Publish(message) => waited.push(message),
                Packet::PingResp => break,
                other => panic!("unexpected {other:?}"),
            }
        }
        for message in waited {
            member.acknowledge(&message);
            late.push(String::from_utf8(message.payload.to_vec()).unwrap());
        }
        member.expect_nothing();
    }
    received.append(&mut late);
    let mut numbers: Vec<usize> = received.iter().map(|number| number.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..30).collect::<Vec<_>>(), "each came once");
}

#[test]
fn how_long_a_session_stays_is_up_to_its_newest_connection() {
    let broker = TestBroker::start();
    let gone = |sessions| {
        broker.until("it is gone", |broker| {
            let counters = broker.counters();
            (counters.connections, counters.sessions) == (0, sessions)
        });
    };
    for old in OLD {
        // One that was to end with its connection stays for an old version.
        Client::connect(broker.address(), V5, "client").disconnect();
        gone(0);
        Client::connect_with(broker.address(), resuming(old, "client")).0.vanish();
        gone(1);
        // And one of an old version, that knows no end, ends by MQTT 5.
        let mut connect = resuming(V5, "client");
        connect.properties.make_mut().session_expiry_interval = Some(60);
        let (client, connack) = Client::connect_with(broker.address(), connect);
        assert!(connack.session_present);
        let mut goodbye = Disconnect::new(ReasonCode::Success);
        goodbye.properties.make_mut().session_expiry_interval = Some(0);
        client.disconnect_with(goodbye);
        gone(0);
    }
}

#[test]
fn the_largest_packet_of_one_reader_is_no_bound_for_the_others() {
    let broker = TestBroker::start();
    let [mut v31, mut v311, mut v5] = readers(&broker, "a", AtLeastOnce);
    let mut connect = Connect::new(V5, "small");
    connect.properties.make_mut().maximum_packet_size = Some(50);
    let mut small = Client::connect_with(broker.address(), connect).0;
    small.subscribe("a", AtLeastOnce);
    for version in VERSIONS {
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        publisher.publish("a", &"x".repeat(100), AtLeastOnce);
        for reader in [&mut v31, &mut v311, &mut v5] {
            let received = reader.next_publish();
            assert_eq!(received.payload.len(), 100);
            reader.acknowledge(&received);
        }
        small.expect_nothing();
    }
}

#[test]
fn a_will_comes_to_all_with_what_they_know_of_it() {
    let broker = TestBroker::start();
    let [mut v31, mut v311, mut v5] = readers(&broker, "will", AtMostOnce);
    for version in VERSIONS {
        let mut will = Will {
            topic: "will".try_into().unwrap(),
            payload: "gone".into(),
            qos: AtMostOnce,
            retain: false,
            properties: Properties::new(),
        };
        if version == V5 {
            will.properties.make_mut().content_type = Some("text".into());
        }
        let connect = Connect { will: Some(will), ..Connect::new(version, "client") };
        Client::connect_with(broker.address(), connect).0.vanish();
        for old in [&mut v31, &mut v311] {
            assert_eq!(old.next_bytes(), publish(V311, 0x30, "will", 0, "gone"));
        }
        let received = v5.next_publish();
        let told = received.properties.content_type.as_deref();
        assert_eq!(
            (&received.payload[..], told),
            (&b"gone"[..], (version == V5).then_some("text"))
        );
    }
}

#[test]
fn who_is_taken_over_is_told_in_its_own_version() {
    let broker = TestBroker::start();
    for older in VERSIONS {
        for newer in VERSIONS {
            let mut old = Client::connect(broker.address(), older, "client");
            let mut new = Client::connect(broker.address(), newer, "client");
            old.expect_disconnect(ReasonCode::SessionTakenOver);
            new.expect_nothing();
        }
    }
}
