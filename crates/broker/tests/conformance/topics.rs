//! Topic names, topic filters and shared subscriptions (MQTT 5.0 and 3.1.1,
//! 4.7 and 4.8).

use latchlight_mqtt::{
    Disconnect, Packet, Properties, ProtocolVersion, PubAck, PubRec, Publish, QoS, ReasonCode,
};

use crate::bytes::{STANDARDS, publish, subscribe, unsubscribe};
use crate::support::{Client, TestBroker, resuming};
use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// 5.0: [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1];
/// 3.1.1: [MQTT-4.7.1-2], [MQTT-4.7.1-3], [MQTT-4.7.3-1].
#[test]
fn wildcards_are_whole_levels_and_a_filter_is_not_empty() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        for good in ["#", "+", "a/#", "+/#", "/+", "+/", "a/+/b", "+/+", "/", "/#", "//+"] {
            let mut client = Client::connect(broker.address(), version, "client");
            client.send_bytes(&subscribe(version, 1, good, 0));
            assert!(matches!(client.next(), Packet::SubAck(_)), "{good}");
            client.send_bytes(&unsubscribe(version, 1, good));
            assert!(matches!(client.next(), Packet::UnsubAck(_)), "{good}");
        }
        for bad in
            ["", "a#", "#a", "#/a", "a/#/b", "##", "a/b#", "+a", "a+", "a/b+/c", "++", "a/+#", "#/"]
        {
            for bytes in [subscribe(version, 1, bad, 0), unsubscribe(version, 1, bad)] {
                let mut client = Client::connect(broker.address(), version, "client");
                client.send_bytes(&bytes);
                let reasons = [ReasonCode::TopicFilterInvalid, ReasonCode::MalformedPacket];
                client.expect_cut(version, &reasons, bad);
            }
        }
    }
}

/// What a subscriber gets, at once and of what is kept, are the names that its
/// filter matches.
///
/// 5.0: [MQTT-3.3.2-3], [MQTT-4.7.2-1], [MQTT-4.7.3-4], [MQTT-4.7.0-1];
/// 3.1.1: [MQTT-3.3.2-3], [MQTT-4.7.2-1], [MQTT-4.7.3-4], [MQTT-4.7.1-1].
#[test]
fn filters_match_the_names_that_they_say_as_they_are() {
    const NAMES: [&str; 16] = [
        "a", "A", "a/", "/a", "a/b", "a/b/c", "a//c", "/", "a b", "$there/x", "$a", "a/$b", "é",
        "e\u{301}", "\u{FF41}", "b",
    ];
    let broker = TestBroker::start();
    for version in STANDARDS {
        for (filter, matching) in [
            (
                "#",
                &[
                    "a", "A", "a/", "/a", "a/b", "a/b/c", "a//c", "/", "a b", "a/$b", "é",
                    "e\u{301}", "\u{FF41}", "b",
                ][..],
            ),
            ("a/#", &["a", "a/", "a/b", "a/b/c", "a//c", "a/$b"]),
            ("+", &["a", "A", "a b", "é", "e\u{301}", "\u{FF41}", "b"]),
            ("+/+", &["a/", "/a", "a/b", "/", "a/$b"]),
            ("a/+", &["a/", "a/b", "a/$b"]),
            ("a/+/c", &["a/b/c", "a//c"]),
            ("/+", &["/a", "/"]),
            ("+/x", &[]),
            ("$there/#", &["$there/x"]),
            ("$there/+", &["$there/x"]),
            ("$a", &["$a"]),
            ("a/$b", &["a/$b"]),
            ("a", &["a"]),
            ("é", &["é"]),
            ("e\u{301}", &["e\u{301}"]),
        ] {
            let mut reader = Client::connect(broker.address(), version, "reader");
            reader.subscribe(filter, AtMostOnce);
            let mut publisher = Client::connect(broker.address(), version, "publisher");
            let mut all = |first, payload: fn(&'static str) -> &'static str| {
                for name in NAMES {
                    publisher.send_bytes(&publish(version, first, name, 0, payload(name)));
                }
                publisher.expect_nothing();
            };
            all(0x30, |name| name);
            for name in matching {
                assert_eq!(reader.next_message(), ((*name).into(), (*name).into()), "{filter}");
            }
            reader.expect_nothing();
            all(0x31, |name| name);
            let mut late = Client::connect(broker.address(), version, "late");
            late.subscribe(filter, AtMostOnce);
            let mut kept: Vec<_> = matching.iter().map(|_| late.next_message().0).collect();
            kept.sort_unstable();
            let mut expected = matching.to_vec();
            expected.sort_unstable();
            assert_eq!(kept, expected, "kept, {filter}");
            late.expect_nothing();
            all(0x31, |_| "");
        }
    }
}

/// 5.0: [MQTT-4.7.3-3];
/// 3.1.1: [MQTT-4.7.3-3].
#[test]
fn a_topic_has_as_many_bytes_as_its_length_can_say() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let longest = "é".repeat(32_767) + "x";
        assert_eq!(longest.len(), 65_535);
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.subscribe(&longest, AtMostOnce);
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        publisher.publish(&longest, "x", AtMostOnce);
        assert!(reader.next_message().0 == longest);
        reader.expect_nothing();
    }
}

/// 5.0: [MQTT-4.8.2-1], [MQTT-4.8.2-2].
#[test]
fn a_shared_subscription_has_a_name_and_a_filter() {
    let broker = TestBroker::start();
    for bad in [
        "$share/",
        "$share//a",
        "$share/a",
        "$share/a/",
        "$share/+/a",
        "$share/#/a",
        "$share/a+/b",
        "$share/a#b/c",
        "$share/#",
        "$share/a/b#",
    ] {
        let mut client = Client::connect(broker.address(), V5, "client");
        client.send_bytes(&subscribe(V5, 1, bad, 0));
        let reasons = [ReasonCode::TopicFilterInvalid, ReasonCode::MalformedPacket];
        client.expect_cut(V5, &reasons, bad);
    }
    // What only looks like one is none.
    let mut client = Client::connect(broker.address(), V5, "client");
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for (filter, topic) in
        [("$SHARE/n/a", "$SHARE/n/a"), ("$shared/a", "$shared/a"), ("$share/é/b/#", "b/c")]
    {
        client.subscribe(filter, AtLeastOnce);
        publisher.publish(topic, "x", AtMostOnce);
        assert_eq!(client.next_message().0, topic);
    }
}

/// 5.0: [MQTT-4.8.2-3].
#[test]
fn each_member_of_a_shared_subscription_gets_its_qos() {
    let broker = TestBroker::start();
    let mut members =
        [(V5, AtMostOnce), (V5, ExactlyOnce), (V311, AtLeastOnce)].map(|(version, qos)| {
            let mut client = Client::connect(broker.address(), version, &format!("{qos:?}"));
            client.subscribe("$share/all/a", qos);
            (client, qos)
        });
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for _ in 0..9 {
        publisher.publish("a", "x", ExactlyOnce);
    }
    for (client, qos) in &mut members {
        let received: Vec<_> = (0..3).map(|_| client.next_publish()).collect();
        for received in received {
            assert_eq!(received.qos, *qos);
            client.acknowledge(&received);
        }
        client.expect_nothing();
    }
}

/// 5.0: [MQTT-4.8.2-4], [MQTT-4.8.2-5].
#[test]
fn what_was_begun_with_a_member_at_qos_2_is_its_own() {
    let broker = TestBroker::start();
    for ends in [false, true] {
        let mut one = Client::connect_with(broker.address(), resuming(V5, "one")).0;
        one.subscribe("$share/all/a", ExactlyOnce);
        let mut publisher = Client::connect(broker.address(), V5, "publisher");
        publisher.publish("a", "begun", ExactlyOnce);
        let begun = one.next_publish();
        let mut two = Client::connect(broker.address(), V5, "two");
        two.subscribe("$share/all/a", ExactlyOnce);
        if ends {
            let mut goodbye = Disconnect::new(ReasonCode::Success);
            goodbye.properties.make_mut().session_expiry_interval = Some(0);
            one.disconnect_with(goodbye);
            broker.until("it has ended", |broker| broker.counters().sessions == 2);
        } else {
            one.vanish();
            broker.until("it is gone", |broker| broker.counters().connections == 2);
            two.expect_nothing();
            let mut one = Client::connect_with(broker.address(), resuming(V5, "one")).0;
            let again = one.next_publish();
            assert_eq!(again, Publish { dup: true, ..begun });
            one.acknowledge(&again);
            one.expect_nothing();
        }
        two.expect_nothing();
    }
}

/// 5.0: [MQTT-4.8.2-6].
#[test]
fn what_a_member_refuses_goes_to_no_other() {
    let broker = TestBroker::start();
    let mut members = ["one", "two"].map(|id| {
        let mut client = Client::connect_with(broker.address(), resuming(V5, id)).0;
        client.subscribe("$share/all/a", ExactlyOnce);
        client
    });
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for qos in [AtLeastOnce, AtLeastOnce, ExactlyOnce, ExactlyOnce] {
        publisher.publish("a", "x", qos);
    }
    for member in &mut members {
        for _ in 0..2 {
            let received = member.next_publish();
            let (packet_id, reason) = (received.packet_id.unwrap(), ReasonCode::QuotaExceeded);
            let properties = Properties::new();
            member.send(match received.qos {
                ExactlyOnce => Packet::PubRec(PubRec { packet_id, reason, properties }),
                _ => Packet::PubAck(PubAck { packet_id, reason, properties }),
            });
        }
        member.expect_nothing();
    }
    for member in members {
        member.vanish();
    }
    for id in ["one", "two"] {
        Client::connect_with(broker.address(), resuming(V5, id)).0.expect_nothing();
    }
}
