//! What is kept of each topic (MQTT 5.0 and 3.1.1, 3.3.1.3).

use latchlight_mqtt::{ProtocolVersion, Publish, QoS, RetainHandling, SubscriptionOptions};

use crate::bytes::STANDARDS;
use crate::support::{Client, TestBroker};
use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

const ALL: [QoS; 3] = [AtMostOnce, AtLeastOnce, ExactlyOnce];

/// 5.0: [MQTT-3.3.1-5], [MQTT-3.3.1-9], [MQTT-3.8.4-8];
/// 3.1.1: [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-7], [MQTT-3.3.1-8].
#[test]
fn the_last_message_of_each_topic_is_kept_with_its_qos() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        for before in ALL {
            for qos in ALL {
                publisher.publish_retained("a", "before", before);
                publisher.publish_retained("a", "last", qos);
                publisher.publish_retained("a/b", "other", qos);
                for most in ALL {
                    let mut reader = Client::connect(broker.address(), version, "reader");
                    reader.subscribe("a/#", most);
                    let mut received = [reader.next_publish(), reader.next_publish()];
                    received.sort_by_key(|publish| publish.topic.len());
                    let payloads = received.each_ref().map(|p| p.payload.clone());
                    assert_eq!(payloads, ["last", "other"]);
                    for publish in received {
                        assert!(publish.retain && !publish.dup);
                        assert_eq!(publish.qos, qos.min(most));
                    }
                    reader.expect_nothing();
                }
            }
        }
    }
}

/// 5.0: [MQTT-3.3.1-6], [MQTT-3.3.1-7];
/// 3.1.1: [MQTT-3.3.1-10], [MQTT-3.3.1-11].
#[test]
fn an_empty_message_takes_away_what_is_kept() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        for qos in ALL {
            let mut reader = Client::connect(broker.address(), version, "reader");
            reader.subscribe("a", AtMostOnce);
            let mut publisher = Client::connect(broker.address(), version, "publisher");
            for payload in ["kept", "", ""] {
                publisher.publish_retained("a", payload, qos);
                assert_eq!(reader.next_message().1, payload);
            }
            assert_eq!(broker.counters().retained_messages, 0);
            let mut late = Client::connect(broker.address(), version, "late");
            late.subscribe("a", AtMostOnce);
            late.expect_nothing();
        }
    }
}

/// 5.0: [MQTT-3.3.1-8];
/// 3.1.1: [MQTT-3.3.1-12].
#[test]
fn a_message_without_retain_changes_nothing_of_what_is_kept() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        publisher.publish_retained("a", "kept", AtLeastOnce);
        for qos in ALL {
            for (topic, payload) in [("a", "new"), ("a", ""), ("b", "new")] {
                publisher.publish(topic, payload, qos);
            }
        }
        let mut reader = Client::connect(broker.address(), version, "reader");
        reader.subscribe("#", AtMostOnce);
        assert_eq!(reader.next_message(), ("a".into(), "kept".into()));
        reader.expect_nothing();
    }
}

/// 5.0: [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11].
#[test]
fn retain_handling_says_when_what_is_kept_comes() {
    let broker = TestBroker::start();
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.publish_retained("a", "kept", AtLeastOnce);
    let mut subscribe = |retain_handling, brings: bool| {
        let options = SubscriptionOptions { retain_handling, ..Default::default() };
        reader.try_subscribe("a", options);
        if brings {
            assert_eq!(reader.next_message().1, "kept");
        }
        reader.expect_nothing();
        reader.unsubscribe("b");
    };
    subscribe(RetainHandling::DoNotSend, false);
    subscribe(RetainHandling::SendIfNew, false);
    subscribe(RetainHandling::Send, true);
    subscribe(RetainHandling::Send, true);
    subscribe(RetainHandling::DoNotSend, false);
    reader.unsubscribe("a");
    let options = |retain_handling| SubscriptionOptions { retain_handling, ..Default::default() };
    reader.try_subscribe("a", options(RetainHandling::SendIfNew));
    assert_eq!(reader.next_message().1, "kept");
    reader.expect_nothing();
}

/// 5.0: [MQTT-3.3.1-12], [MQTT-3.3.1-13];
/// 3.1.1: [MQTT-3.3.1-9].
#[test]
fn retain_is_forwarded_to_who_asks_for_it() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        let mut old = Client::connect(broker.address(), ProtocolVersion::V311, "old");
        old.subscribe("a", ExactlyOnce);
        let mut readers = [false, true].map(|retain_as_published| {
            let mut reader = Client::connect(broker.address(), V5, "");
            let options = SubscriptionOptions {
                retain_as_published,
                ..SubscriptionOptions::qos(ExactlyOnce)
            };
            reader.try_subscribe("a", options);
            reader
        });
        for qos in ALL {
            for retain in [true, false] {
                publisher.publish_packet(Publish { qos, retain, ..Publish::new("a", "x") });
                assert!(!old.next_publish().retain);
                assert!(!readers[0].next_publish().retain);
                assert_eq!(readers[1].next_publish().retain, retain);
            }
        }
        publisher.publish_retained("a", "", AtLeastOnce);
    }
}
