//! C9: a device publishes and subscribes only below its own topics, whatever
//! it tries. `mallory` tries them on `door`.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{Access, ClientInfo, ConnectRequest, PublishRequest, Refusal};
use latchlight_mqtt::{
    Connect, Packet, PacketId, Properties, ProtocolVersion, Publish, QoS, ReasonCode,
    SubscriptionOptions, Will,
};
use support::{Client, TestBroker, VERSIONS};

use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// Each user has `devices/<user>/#`, and the server has all.
struct OwnTopics {
    /// Every subscription is granted, and brings what is the user's own.
    at_delivery: bool,
}

fn is_own(client: &ClientInfo, topic: &str) -> bool {
    let own = topic.strip_prefix("devices/").and_then(|rest| rest.strip_prefix(&*client.identity));
    own.is_some_and(|rest| rest.starts_with('/')) || &*client.identity == "server"
}

#[async_trait]
impl Access for OwnTopics {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok(request.username.ok_or(ReasonCode::NotAuthorized)?.into())
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        match is_own(client, request.topic) {
            true => Ok(()),
            false => Err(Refusal::Ignore(ReasonCode::NotAuthorized)),
        }
    }

    fn authorize_subscribe(&self, client: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        match self.at_delivery || is_own(client, filter) {
            true => Ok(()),
            false => Err(ReasonCode::NotAuthorized),
        }
    }

    fn checks_delivery(&self) -> bool {
        self.at_delivery
    }

    fn authorize_receive(&self, client: &ClientInfo, topic: &str) -> bool {
        is_own(client, topic)
    }
}

/// A broker by each kind of rules that say so.
fn brokers() -> Vec<TestBroker> {
    let mut all: Vec<_> =
        [false, true].map(|at_delivery| TestBroker::with_access(OwnTopics { at_delivery })).into();
    all.extend(ledgers());
    all
}

#[cfg(feature = "ledger")]
fn ledgers() -> Vec<TestBroker> {
    use latchlight_broker::document::{Format, read_str};
    use latchlight_broker::ledger::Ledger;

    let with = |wide: &str| {
        let rules = format!(
            "{{wide_subscriptions: {wide}, auth: [{{username: '*', allow: true}}], acl: [
                {{username: server, filters: {{'#': read-write, '$SYS/#': read-only}}}},
                {{filters: {{'devices/%u/#': read-write}}}}]}}"
        );
        TestBroker::with_access(Ledger::new(read_str(&rules, Format::Yaml).unwrap()).unwrap())
    };
    vec![with("refuse"), with("filter")]
}

#[cfg(not(feature = "ledger"))]
fn ledgers() -> Vec<TestBroker> {
    Vec::new()
}

fn as_user(version: ProtocolVersion, name: &'static str) -> Connect {
    Connect { username: Some(name.into()), ..Connect::new(version, name) }
}

fn connect(broker: &TestBroker, version: ProtocolVersion, name: &'static str) -> Client {
    Client::connect_with(broker.address(), as_user(version, name)).0
}

/// Filters that would bring what is the door's, or the broker's.
const TOO_WIDE: [&str; 13] = [
    "#",
    "+/#",
    "+/+/state",
    "devices/#",
    "devices/+/state",
    "devices/door/state",
    "devices/door/#",
    "devices/mallory/../door/state",
    "$share/group/#",
    "$share/group/devices/door/state",
    "$share/group/devices/+/+",
    "$SYS/#",
    "$SYS/broker/+",
];

#[test]
fn no_subscription_brings_what_is_anothers() {
    for broker in brokers() {
        for version in VERSIONS {
            let mut door = connect(&broker, version, "door");
            door.publish_retained("devices/door/state", "kept", AtLeastOnce);
            let mut mallory = connect(&broker, version, "mallory");
            for filter in TOO_WIDE {
                mallory.try_subscribe(filter, SubscriptionOptions::qos(ExactlyOnce));
                for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
                    door.publish_retained("devices/door/state", "open", qos);
                }
            }
            mallory.expect_nothing();
            // What is its own comes.
            mallory.subscribe("devices/mallory/+", AtMostOnce);
            connect(&broker, version, "server").publish("devices/mallory/down", "ok", AtMostOnce);
            while mallory.next_message().1 != "ok" {}
        }
    }
}

/// A member that may not read takes nothing from those that may.
#[test]
fn a_shared_subscription_is_not_robbed() {
    for broker in brokers() {
        let mut workers = ["one", "two"].map(|id| {
            let connect = Connect { username: Some("server".into()), ..Connect::new(V5, id) };
            let (mut client, _) = Client::connect_with(broker.address(), connect);
            client.subscribe("$share/workers/devices/+/up", AtMostOnce);
            client
        });
        let mut mallory = connect(&broker, V5, "mallory");
        let options = SubscriptionOptions::qos(AtLeastOnce);
        mallory.try_subscribe("$share/workers/devices/+/up", options);
        let mut door = connect(&broker, V5, "door");
        for _ in 0..6 {
            door.publish("devices/door/up", "x", AtLeastOnce);
        }
        mallory.expect_nothing();
        let mut came = 0;
        for worker in &mut workers {
            worker.send(Packet::PingReq);
            while let Packet::Publish(_) = worker.next() {
                came += 1;
            }
        }
        assert_eq!(came, 6);
    }
}

#[test]
fn no_publish_reaches_what_is_anothers() {
    for broker in brokers() {
        let mut server = connect(&broker, V5, "server");
        server.subscribe("#", AtMostOnce);
        for version in VERSIONS {
            let mut mallory = connect(&broker, version, "mallory");
            for topic in ["devices/door/up", "devices", "devices/mallorys/up", "$SYS/broker/uptime"]
            {
                for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
                    for retain in [false, true] {
                        let publish = Publish { qos, retain, ..Publish::new(topic, "unlock") };
                        let reason = mallory.publish_packet(publish);
                        let is_told = version.is_v5() && qos != AtMostOnce;
                        assert_eq!(reason.is_error(), is_told, "{version} {topic} {qos:?}");
                    }
                }
            }
        }
        server.expect_nothing();
        let mut door = connect(&broker, V5, "door");
        door.subscribe("devices/door/#", AtMostOnce);
        door.expect_nothing();
        assert_eq!(broker.counters().retained_messages, 0);
    }
}

#[test]
fn no_will_reaches_what_is_anothers() {
    for broker in brokers() {
        for version in VERSIONS {
            let will = |topic: &str, retain| Will {
                topic: topic.try_into().unwrap(),
                payload: "unlock".into(),
                qos: AtLeastOnce,
                retain,
                properties: Properties::new(),
            };
            for retain in [false, true] {
                let will = Some(will("devices/door/up", retain));
                let connect = Connect { will, ..as_user(version, "mallory") };
                let (mut mallory, connack) = Client::try_connect(broker.address(), connect);
                assert_eq!(connack.reason, ReasonCode::NotAuthorized);
                mallory.expect_closed();
            }
            // One of its own is heard by who may, and not by the door.
            let mut door = connect(&broker, version, "door");
            door.try_subscribe("devices/mallory/online", SubscriptionOptions::default());
            let mut server = connect(&broker, version, "server");
            server.subscribe("devices/+/online", AtMostOnce);
            let will = Some(will("devices/mallory/online", true));
            let connect = Connect { will, ..as_user(version, "mallory") };
            Client::connect_with(broker.address(), connect).0.vanish();
            assert_eq!(server.next_message().0, "devices/mallory/online");
            door.expect_nothing();
        }
    }
}

#[test]
fn no_topic_alias_leads_to_what_is_anothers() {
    for broker in brokers() {
        let mut server = connect(&broker, V5, "server");
        server.subscribe("devices/#", AtMostOnce);
        let mut mallory = connect(&broker, V5, "mallory");
        let say = |mallory: &mut Client, topic: &'static str, payload: &'static str| {
            let mut publish = Publish { qos: AtLeastOnce, ..Publish::new(topic, payload) };
            publish.properties.make_mut().topic_alias = Some(1);
            mallory.publish_packet(publish)
        };
        assert_eq!(say(&mut mallory, "devices/mallory/up", "1"), ReasonCode::Success);
        assert_eq!(say(&mut mallory, "", "2"), ReasonCode::Success);
        // The alias changes its meaning, and not what may be done by it.
        assert_eq!(say(&mut mallory, "devices/door/up", "3"), ReasonCode::NotAuthorized);
        assert_eq!(say(&mut mallory, "", "4"), ReasonCode::NotAuthorized);
        for expected in ["1", "2"] {
            let expected = ("devices/mallory/up".to_owned(), expected.to_owned());
            assert_eq!(server.next_message(), expected);
        }
        server.expect_nothing();
        // Nor is an alias of another connection's of any use.
        let mut door = connect(&broker, V5, "door");
        assert_eq!(say(&mut door, "devices/door/up", "5"), ReasonCode::Success);
        mallory = connect(&broker, V5, "mallory");
        let mut publish = Publish { qos: AtMostOnce, ..Publish::new("", "6") };
        publish.properties.make_mut().topic_alias = Some(1);
        mallory.send(Packet::Publish(publish));
        mallory.expect_disconnect(ReasonCode::ProtocolError);
    }
}

/// A message of QoS 2 that was taken may be sent again, but not as another.
#[test]
fn no_message_sent_again_leads_to_what_is_anothers() {
    for broker in brokers() {
        let mut server = connect(&broker, V5, "server");
        server.subscribe("devices/#", AtMostOnce);
        let mut mallory = connect(&broker, V5, "mallory");
        let id = PacketId::new(7).unwrap();
        let publish = |topic: &'static str, dup| {
            let packet_id = Some(id);
            Packet::Publish(Publish {
                qos: ExactlyOnce,
                packet_id,
                dup,
                ..Publish::new(topic, "unlock")
            })
        };
        mallory.send(publish("devices/mallory/up", false));
        assert_eq!(mallory.next_pubrec(id), ReasonCode::Success);
        mallory.send(publish("devices/door/up", true));
        mallory.next_pubrec(id);
        mallory.pubrel(id);
        mallory.next_pubcomp(id);
        assert_eq!(server.next_message().0, "devices/mallory/up");
        server.expect_nothing();
        // Nor a refused one, which is as new when it comes again.
        for dup in [false, true] {
            mallory.send(publish("devices/door/up", dup));
            assert_eq!(mallory.next_pubrec(id), ReasonCode::NotAuthorized);
        }
        server.expect_nothing();
    }
}

/// Where an answer is wanted is no more than a word: who answers publishes by
/// its own rights, and who asked gets it by its own.
#[test]
fn no_response_topic_leads_to_what_is_anothers() {
    for broker in brokers() {
        let mut door = connect(&broker, V5, "door");
        door.subscribe("devices/door/down", AtLeastOnce);
        let mut lamp = connect(&broker, V5, "lamp");
        lamp.subscribe("devices/lamp/#", AtLeastOnce);
        let mut mallory = connect(&broker, V5, "mallory");
        let ask = |client: &mut Client, topic: &'static str, answer_to: &'static str| {
            let mut publish = Publish { qos: AtLeastOnce, ..Publish::new(topic, "tell me") };
            publish.properties.make_mut().response_topic = Some(answer_to.into());
            client.publish_packet(publish)
        };
        // It cannot ask the door itself, nor have it answer to others.
        let refused = ask(&mut mallory, "devices/door/down", "devices/mallory/down");
        assert_eq!(refused, ReasonCode::NotAuthorized);
        door.expect_nothing();
        let mut server = connect(&broker, V5, "server");
        ask(&mut server, "devices/door/down", "devices/lamp/down");
        let asked = door.next_publish();
        door.acknowledge(&asked);
        let answer_to = asked.properties.response_topic.clone().unwrap();
        let reason = door.publish(&answer_to, "the code", AtLeastOnce);
        assert_eq!(reason, ReasonCode::NotAuthorized);
        lamp.expect_nothing();
        // And to hear an answer takes a subscription of its own.
        let options = SubscriptionOptions::default();
        mallory.try_subscribe("devices/door/answers", options);
        door.publish("devices/door/answers", "the code", AtLeastOnce);
        mallory.expect_nothing();
    }
}
