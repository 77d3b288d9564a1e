//! UNSUBSCRIBE and UNSUBACK (MQTT 5.0 and 3.1.1, 3.10 and 3.11).

use latchlight_mqtt::{ProtocolVersion, QoS, ReasonCode};

use crate::bytes::{STANDARDS, field, packet, properties, unsubscribe};
use crate::support::{Client, TestBroker, resuming};
use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// 5.0: [MQTT-3.10.3-2];
/// 3.1.1: [MQTT-3.10.3-2].
#[test]
fn an_unsubscribe_without_a_filter_closes_the_connection() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut client = Client::connect(broker.address(), version, "client");
        client.send_bytes(&packet(0xA2, &[vec![0, 1], properties(version, &[])].concat()));
        client.expect_cut(version, &[ReasonCode::ProtocolError], "no filter");
    }
}

/// 5.0: [MQTT-3.10.4-1], [MQTT-3.10.4-2], [MQTT-3.10.4-4], [MQTT-3.10.4-5],
/// [MQTT-3.10.4-6], [MQTT-3.11.3-1], [MQTT-3.11.3-2];
/// 3.1.1: [MQTT-3.10.4-1], [MQTT-3.10.4-2], [MQTT-3.10.4-4], [MQTT-3.10.4-5],
/// [MQTT-3.10.4-6].
#[test]
fn the_very_filter_is_unsubscribed_and_no_other() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let mut reader = Client::connect(broker.address(), version, "reader");
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        for filter in ["a/b", "A/b", "é", "e\u{301}", "c/#", "/x"] {
            reader.subscribe(filter, AtLeastOnce);
        }
        let filters = ["a/+", "A/b", "a/b/", "a/b", "#", "a/b", "e\u{301}", "c", "x"];
        let fields: Vec<_> = filters.into_iter().map(field).collect();
        reader.send_bytes(&packet(
            0xA2,
            &[vec![0x11, 0x22], properties(version, &[]), fields.concat()].concat(),
        ));
        let expected: &[u8] = match version {
            V5 => &[0xB0, 12, 0x11, 0x22, 0, 0x11, 0, 0x11, 0, 0x11, 0x11, 0, 0x11, 0x11],
            _ => &[0xB0, 2, 0x11, 0x22],
        };
        assert_eq!(reader.next_bytes(), expected);
        assert_eq!(broker.counters().subscriptions, 3);
        for (topic, comes) in [
            ("a/b", false),
            ("A/b", false),
            ("é", true),
            ("e\u{301}", false),
            ("c/d", true),
            ("c", true),
            ("/x", true),
        ] {
            publisher.publish(topic, topic, AtLeastOnce);
            if comes {
                assert_eq!(reader.next_message().0, topic);
            }
            reader.expect_nothing();
        }
        reader.send_bytes(&unsubscribe(version, 7, "nothing"));
        let expected: &[u8] =
            if version == V5 { &[0xB0, 4, 0, 7, 0, 0x11] } else { &[0xB0, 2, 0, 7] };
        assert_eq!(reader.next_bytes(), expected);
    }
}

/// 5.0: [MQTT-3.10.4-3];
/// 3.1.1: [MQTT-3.10.4-3].
#[test]
fn what_was_begun_is_finished_after_the_subscription() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let name = format!("reader of {version:?}");
        let mut reader = Client::connect_with(broker.address(), resuming(version, &name)).0;
        reader.subscribe("a", ExactlyOnce);
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        for qos in [AtLeastOnce, ExactlyOnce] {
            publisher.publish("a", "begun", qos);
        }
        let (one, two) = (reader.next_publish(), reader.next_publish());
        reader.unsubscribe("a");
        for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
            publisher.publish("a", "new", qos);
        }
        reader.vanish();
        let mut reader = Client::connect_with(broker.address(), resuming(version, &name)).0;
        for begun in [one, two] {
            let again = reader.next_publish();
            assert_eq!((again.packet_id, again.dup), (begun.packet_id, true));
            reader.acknowledge(&again);
        }
        reader.expect_nothing();
    }
}
