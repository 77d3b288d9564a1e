//! Hooks that panic: a packet, and at most a connection, is all that it costs.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{
    Access, Broker, ClientInfo, ConnectRequest, CountersSnapshot, DropReason, Injection,
    InlinePublish, Interceptor, Observer, Publication, PublishRequest, Refusal, Review, Steps,
    Stop,
};
use latchlight_mqtt::ProtocolVersion::{V5, V31, V311};
use latchlight_mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use latchlight_mqtt::ReasonCode::{NotAuthorized, Success, UnspecifiedError};
use latchlight_mqtt::{
    Connect, Packet, PacketId, Properties, Publish, QoS, ReasonCode, SubscriptionOptions, Will,
};

use support::{Client, TestBroker, VERSIONS};

/// Panics in one of its methods, over what is called so.
struct Clumsy(&'static str);

impl Clumsy {
    fn does(&self, method: &str, over: &str) {
        assert!(self.0 != method || !over.starts_with("clumsy"), "as the test wants it");
    }
}

#[async_trait]
impl Access for Clumsy {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        self.does("authenticate", request.username.unwrap_or_default());
        Ok("somebody".into())
    }

    fn authorize_publish(
        &self,
        _: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        self.does("authorize_publish", request.topic);
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        self.does("authorize_subscribe", filter);
        Ok(())
    }

    fn checks_delivery(&self) -> bool {
        self.does("checks_delivery", "clumsy");
        self.0 == "authorize_receive"
    }

    fn authorize_receive(&self, client: &ClientInfo, _: &str) -> bool {
        self.does("authorize_receive", &client.client_id);
        true
    }

    fn authorize_will(&self, _: &ClientInfo, will: &Will) -> Result<(), ReasonCode> {
        self.does("authorize_will", will.topic.as_str());
        Ok(())
    }

    fn review(&self, client: &ClientInfo) -> Review {
        self.does("review", &client.client_id);
        Review::Disconnect(NotAuthorized)
    }
}

fn session(version: latchlight_mqtt::ProtocolVersion, client_id: &str) -> Connect {
    let mut connect = Connect { clean_start: false, ..Connect::new(version, client_id) };
    connect.properties.make_mut().session_expiry_interval = Some(600);
    connect
}

fn will(topic: &str) -> Will {
    Will {
        topic: topic.try_into().unwrap(),
        payload: "gone".into(),
        qos: AtMostOnce,
        retain: false,
        properties: Properties::new(),
    }
}

fn publish(topic: &str, qos: QoS) -> Packet {
    let packet_id = (qos != AtMostOnce).then_some(PacketId::MIN);
    Packet::Publish(Publish { qos, packet_id, retain: true, ..Publish::new(topic, "x") })
}

#[test]
fn a_panic_over_who_comes_refuses_it() {
    for (method, topic) in [("authenticate", "will"), ("authorize_will", "clumsy")] {
        let broker = TestBroker::with_access(Clumsy(method));
        let clumsy = Connect {
            username: Some("clumsy".into()),
            will: Some(will(topic)),
            ..Connect::new(V5, "c")
        };
        let (mut client, answer) = Client::try_connect(broker.address(), clumsy);
        assert_eq!(answer.reason, UnspecifiedError, "{method}");
        client.expect_closed();
        broker.until("nothing is left of it", |broker| broker.counters().connections == 0);
        assert_eq!(broker.counters().connects_refused, 1);
        let mut client = Client::connect(broker.address(), V5, "c");
        client.subscribe("a", AtMostOnce);
    }
}

#[test]
fn a_panic_over_a_message_refuses_it_and_the_publishers_session_goes_on() {
    let broker = TestBroker::with_access(Clumsy("authorize_publish"));
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("#", ExactlyOnce);
    for version in VERSIONS {
        for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
            let id = format!("w{version:?}{qos:?}");
            let (mut writer, _) = Client::connect_with(broker.address(), session(version, &id));
            writer.subscribe("own", AtLeastOnce);
            match (version, qos) {
                (V5, AtLeastOnce | ExactlyOnce) => {
                    assert_eq!(writer.publish_retained("clumsy", "x", qos), UnspecifiedError);
                    writer.vanish();
                }
                // There is no other word for it.
                _ => {
                    writer.send(publish("clumsy", qos));
                    writer.read_to_end();
                }
            }
            // Nobody has it, and it is not kept.
            let (mut writer, answer) =
                Client::connect_with(broker.address(), session(version, &id));
            // 3.1 has no word for it.
            assert_eq!(answer.session_present, version != V31);
            writer.publish("fine", &id, qos);
            assert_eq!(reader.next_message(), ("fine".to_owned(), id));
            writer.disconnect();
        }
    }
    assert_eq!(broker.counters().retained_messages, 0);
}

#[test]
fn a_panic_over_a_subscription_refuses_it() {
    let broker = TestBroker::with_access(Clumsy("authorize_subscribe"));
    let mut client = Client::connect(broker.address(), V5, "c");
    let options = SubscriptionOptions::default();
    assert_eq!(client.try_subscribe("clumsy/#", options), UnspecifiedError);
    client.subscribe("fine", AtMostOnce);
    assert_eq!(broker.counters().subscriptions, 1);
    client.send(publish("fine", AtMostOnce));
    assert_eq!(client.next_message().0, "fine");
}

#[test]
fn a_panic_at_delivery_concerns_the_reader_alone() {
    let broker = TestBroker::with_access(Clumsy("authorize_receive"));
    let (mut clumsy, _) = Client::connect_with(broker.address(), session(V5, "clumsy"));
    let mut fine = Client::connect(broker.address(), V5, "fine");
    let mut writer = Client::connect(broker.address(), V5, "writer");
    for reader in [&mut clumsy, &mut fine] {
        reader.subscribe("a/#", ExactlyOnce);
    }
    for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
        let topic = format!("a/{qos:?}");
        writer.publish(&topic, "x", qos);
        assert_eq!(fine.next_message().0, topic);
    }
    let inline = broker.inline();
    assert_eq!(inline.publish(InlinePublish::new("a/inline".try_into().unwrap(), "x")), Success);
    assert_eq!(fine.next_message().0, "a/inline");
    clumsy.expect_nothing();
    // What waits for it, and what is kept.
    clumsy.disconnect();
    broker.until("it is gone", |broker| broker.counters().clients_connected == 2);
    writer.publish_retained("a/kept", "x", AtLeastOnce);
    let (mut clumsy, answer) = Client::connect_with(broker.address(), session(V5, "clumsy"));
    assert!(answer.session_present);
    clumsy.subscribe("a/+", AtLeastOnce);
    clumsy.expect_nothing();
    assert!(broker.counters().deliveries_refused >= 5);
}

#[test]
fn a_panic_of_a_review_disconnects_one_and_the_others_are_asked() {
    for method in ["review", "checks_delivery"] {
        let broker = TestBroker::with_access(Clumsy(method));
        let (mut clumsy, _) = Client::connect_with(broker.address(), session(V5, "clumsy"));
        clumsy.subscribe("a", AtLeastOnce);
        let mut other = Client::connect(broker.address(), V5, "other");
        broker.review();
        let told = if method == "review" { UnspecifiedError } else { NotAuthorized };
        clumsy.expect_disconnect(told);
        other.expect_disconnect(NotAuthorized);
        let (_, answer) = Client::connect_with(broker.address(), session(V5, "clumsy"));
        assert!(answer.session_present);
    }
}

#[test]
fn a_panic_over_an_injected_packet_refuses_it() {
    let broker = TestBroker::with_access(Clumsy("authorize_publish"));
    let _client = Client::connect(broker.address(), V5, "c");
    let info = broker.clients()[0].clone();
    let clumsy = InlinePublish::new("clumsy".try_into().unwrap(), "x");
    let injected = broker.inject(&info, Injection::publish(clumsy));
    assert_eq!(injected, Ok(UnspecifiedError));
    let fine = InlinePublish::new("fine".try_into().unwrap(), "x");
    assert!(broker.inject(&info, Injection::publish(fine)).is_ok());
}

/// Panics over whatever happens.
struct Nervous;

impl Observer for Nervous {
    fn started(&self) {
        panic!("as the test wants it");
    }

    fn stopped(&self) {
        panic!("as the test wants it");
    }

    fn system_tick(&self, _: &CountersSnapshot) {
        panic!("as the test wants it");
    }

    fn disconnected(&self, _: &Arc<ClientInfo>, _: ReasonCode, _: bool) {
        panic!("as the test wants it");
    }

    fn published(&self, _: Option<&Arc<ClientInfo>>, message: &Publication) {
        assert_ne!(message.topic.as_str(), "clumsy", "as the test wants it");
    }

    fn publish_dropped(&self, _: Option<&Arc<ClientInfo>>, _: &Publication, _: DropReason) {
        panic!("as the test wants it");
    }
}

#[test]
fn observers_that_panic_cost_a_connection_at_most() {
    let mut broker = TestBroker::build(|builder| builder.access(Clumsy("")).observer(Nervous));
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("#", AtLeastOnce);
    for (version, qos) in [(V5, AtMostOnce), (V5, AtLeastOnce), (V311, AtLeastOnce)] {
        for round in ["first", "second"] {
            let (mut writer, _) =
                Client::connect_with(broker.address(), session(version, "writer"));
            let sent = Publish {
                qos,
                packet_id: (qos != AtMostOnce).then_some(PacketId::MIN),
                ..Publish::new("clumsy", round)
            };
            writer.send(Packet::Publish(sent));
            assert_eq!(reader.next_message(), ("clumsy".to_owned(), round.to_owned()));
            writer.read_to_end();
        }
    }
    // The program itself is not to be ended by it.
    let inline = broker.inline();
    inline.publish(InlinePublish::new("clumsy".try_into().unwrap(), "inline"));
    assert_eq!(reader.next_message().1, "inline");
    broker.until("a second has passed", |broker: &Broker| broker.counters().clients_connected == 1);
    broker.close();
}

/// Panics over every message that is called so.
struct Strict;

impl Interceptor for Strict {
    fn steps(&self) -> Steps {
        Steps { publish: true, ..Steps::NONE }
    }

    fn publish(&self, _: Option<&Arc<ClientInfo>>, message: &mut Publication) -> Result<(), Stop> {
        assert_ne!(message.topic.as_str(), "clumsy", "as the test wants it");
        Ok(())
    }
}

#[test]
fn an_interceptor_that_panics_over_the_programs_own_message_is_an_error() {
    let broker = TestBroker::build(|builder| builder.access(Clumsy("")).interceptor(Strict));
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("#", AtLeastOnce);
    let inline = broker.inline();
    let say =
        |topic: &str| inline.publish(InlinePublish::new(topic.to_owned().try_into().unwrap(), "x"));
    assert_eq!(say("clumsy"), UnspecifiedError);
    assert_eq!(say("fine"), Success);
    assert_eq!(reader.next_message().0, "fine");
}
