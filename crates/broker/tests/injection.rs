//! Packets in the name of a client.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use latchlight_broker::{
    Access, ClientInfo, ConnectRequest, Injection, InjectionError, InlinePublish, Interests,
    Observer, Options, Publication, PublishRequest, QoS, ReasonCode, Refusal, RetainHandling,
    SubscriptionOptions,
};
use latchlight_mqtt::ProtocolVersion;
use support::{Client, TestBroker, resuming};

use ProtocolVersion::{V5, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// Everybody below a topic of their own name, and nowhere else.
struct OwnName;

#[async_trait]
impl Access for OwnName {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok(request.client_id.into())
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        match request.topic.split('/').next() == Some(&client.identity) {
            true => Ok(()),
            false if request.topic == "door/down" => {
                Err(Refusal::Disconnect(ReasonCode::NotAuthorized))
            }
            false => Err(Refusal::Ignore(ReasonCode::NotAuthorized)),
        }
    }

    fn authorize_subscribe(&self, client: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        match filter.split('/').next() == Some(&client.identity) {
            true => Ok(()),
            false => Err(ReasonCode::NotAuthorized),
        }
    }
}

fn message(topic: &str, qos: QoS) -> InlinePublish {
    InlinePublish { qos, ..InlinePublish::new(topic.try_into().unwrap(), "x") }
}

fn info(broker: &TestBroker, client_id: &str) -> Arc<ClientInfo> {
    broker.session(client_id).unwrap().client.unwrap()
}

#[test]
fn a_message_goes_out_as_if_its_client_had_sent_it() {
    let broker = TestBroker::start();
    for version in [V311, V5] {
        let mut own = Client::connect(broker.address(), version, "own");
        let mut other = Client::connect(broker.address(), V5, "other");
        other.subscribe("a/#", ExactlyOnce);
        let mut inline =
            broker.inline().subscribe("a/+".try_into().unwrap(), SubscriptionOptions::default());
        let inline = inline.as_mut().unwrap();
        if version == V5 {
            // [MQTT-3.8.3-3]
            let options = SubscriptionOptions { no_local: true, ..SubscriptionOptions::default() };
            own.try_subscribe("a/#", options);
        }
        let client = info(&broker, "own");
        for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
            let mut publish = message("a/b", qos);
            publish.properties.make_mut().content_type = Some("text/plain".into());
            assert_eq!(
                broker.inject(&client, Injection::publish(publish)),
                Ok(ReasonCode::Success)
            );
            let received = other.next_publish();
            assert_eq!(received.qos, qos);
            assert_eq!(received.properties.content_type.as_deref(), Some("text/plain"));
            other.acknowledge(&received);
            let seen = broker.wait(inline.next()).unwrap();
            assert_eq!(&*seen.publisher.unwrap().client_id, "own");
        }
        // Its own packet ids are its own: the injected ones had the same.
        assert_eq!(own.publish("a/b", "y", ExactlyOnce), ReasonCode::Success);
        assert_eq!(other.next_publish().payload, "y");
        own.expect_nothing();
    }
    assert_eq!(broker.counters().received.messages, [2, 2, 4]);
}

#[test]
fn the_access_hook_is_asked_unless_it_is_said_not_to_be() {
    let broker = TestBroker::with_access(OwnName);
    let mut door = Client::connect(broker.address(), V311, "door");
    door.subscribe("door/#", AtMostOnce);
    let client = info(&broker, "door");
    let inject = |topic, qos| broker.inject(&client, Injection::publish(message(topic, qos)));
    assert_eq!(inject("door/up", AtMostOnce), Ok(ReasonCode::Success));
    assert_eq!(door.next_message().0, "door/up");
    for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
        assert_eq!(inject("light/up", qos), Ok(ReasonCode::NotAuthorized));
        assert_eq!(inject("$SYS/broker/version", qos), Ok(ReasonCode::NotAuthorized));
    }
    assert_eq!(broker.counters().publishes_refused, 6);
    let other = Arc::new(ClientInfo { identity: "light".into(), ..(*client).clone() });
    let down = || Injection::publish(message("door/down", AtLeastOnce));
    assert_eq!(broker.inject(&other, down()), Ok(ReasonCode::NotAuthorized));
    assert_eq!(broker.inject(&other, down().without_access()), Ok(ReasonCode::Success));
    assert_eq!(door.next_message().0, "door/down");
    let system = Injection::publish(message("$SYS/broker/version", AtLeastOnce)).without_access();
    assert_eq!(broker.inject(&client, system), Ok(ReasonCode::NotAuthorized));

    let light =
        || Injection::subscribe("light/#".try_into().unwrap(), SubscriptionOptions::default());
    assert_eq!(broker.inject(&client, light()), Ok(ReasonCode::NotAuthorized));
    assert_eq!(broker.inject(&client, light().without_access()), Ok(ReasonCode::Success));
    broker.inline().publish(message("light/up", AtMostOnce));
    assert_eq!(door.next_message().0, "light/up");
    // By the rules it may not have it, and that is looked at again.
    assert_eq!(broker.review(), 1);
    door.expect_closed();
}

#[test]
fn a_message_needs_no_client_that_is_there() {
    let broker = TestBroker::with_access(OwnName);
    let mut door = Client::connect(broker.address(), V5, "door");
    door.subscribe("door/#", AtLeastOnce);
    let absent = ClientInfo { client_id: "nobody".into(), ..(*info(&broker, "door")).clone() };
    let injection = Injection::publish(message("door/up", ExactlyOnce));
    assert_eq!(broker.inject(&Arc::new(absent), injection), Ok(ReasonCode::Success));
    assert_eq!(door.next_message().0, "door/up");
    assert!(broker.session("nobody").is_none());
}

#[test]
fn subscriptions_of_a_session_come_and_go() {
    let broker = TestBroker::start();
    let mut client = Client::connect_with(broker.address(), resuming(V5, "client")).0;
    client.publish_retained("a/kept", "kept", AtLeastOnce);
    let known = info(&broker, "client");
    let options = SubscriptionOptions::qos(AtLeastOnce);
    let subscribe = || Injection::subscribe("a/#".try_into().unwrap(), options);
    assert_eq!(broker.inject(&known, subscribe()), Ok(ReasonCode::GrantedQoS1));
    // No SUBACK for what the client has not asked for; what it brings comes all the same.
    let kept = client.next_publish();
    assert!(kept.retain && kept.topic == "a/kept");
    client.acknowledge(&kept);
    assert_eq!(broker.subscriptions_of("client").unwrap().len(), 1);
    let unsubscribe = || Injection::unsubscribe("a/#".try_into().unwrap());
    assert_eq!(broker.inject(&known, unsubscribe()), Ok(ReasonCode::Success));
    assert_eq!(broker.inject(&known, unsubscribe()), Ok(ReasonCode::NoSubscriptionExisted));
    client.expect_nothing();
    client.disconnect();
    broker.until("it is away", |broker| !broker.session("client").unwrap().connected);
    let later = SubscriptionOptions { retain_handling: RetainHandling::Send, ..options };
    let injection = Injection::subscribe("b".try_into().unwrap(), later);
    assert_eq!(broker.inject(&known, injection), Ok(ReasonCode::GrantedQoS1));
    broker.inline().publish(message("b", AtLeastOnce));
    let mut client = Client::connect_with(broker.address(), resuming(V5, "client")).0;
    assert_eq!(client.next_message().0, "b");
    broker.wait(broker.end_session("client", ReasonCode::AdministrativeAction));
    assert_eq!(broker.inject(&known, subscribe()), Err(InjectionError::NoSession));
}

#[test]
fn the_limits_of_clients_hold() {
    let options = Options { max_packet_size: 1000, max_topic_levels: 3, ..Options::default() };
    let broker = TestBroker::with_options(options);
    let _client = Client::connect(broker.address(), V5, "client");
    let known = info(&broker, "client");
    let large = InlinePublish::new("a".try_into().unwrap(), vec![0; 1000]);
    let error = broker.inject(&known, Injection::publish(large)).unwrap_err();
    assert_eq!(error, InjectionError::TooLarge);
    let deep = Injection::publish(message("a/b/c/d", AtLeastOnce));
    let error = broker.inject(&known, deep).unwrap_err();
    assert_eq!(error, InjectionError::Refused(ReasonCode::TopicNameInvalid));
    let mut aliased = message("a", AtLeastOnce);
    aliased.properties.make_mut().topic_alias = Some(60_000);
    let error = broker.inject(&known, Injection::publish(aliased)).unwrap_err();
    assert_eq!(error, InjectionError::Refused(ReasonCode::TopicAliasInvalid));
    assert!(broker.session("client").unwrap().connected);
}

/// Notes who published what.
#[derive(Clone, Default)]
struct Watcher(Arc<Mutex<Vec<String>>>);

impl Observer for Watcher {
    fn interests(&self) -> Interests {
        Interests { messages: true, ..Interests::NONE }
    }

    fn published(&self, client: Option<&Arc<ClientInfo>>, message: &Publication) {
        let client = client.map_or("nobody", |client| &client.client_id);
        self.0.lock().unwrap().push(format!("{client} {}", message.topic));
    }
}

#[test]
fn hooks_see_it_as_they_see_the_client() {
    let watcher = Watcher::default();
    let broker = TestBroker::build(|builder| {
        builder.access(latchlight_broker::AllowAll).observer(watcher.clone())
    });
    let _client = Client::connect(broker.address(), V5, "client");
    let injection = Injection::publish(message("a", AtLeastOnce));
    broker.inject(&info(&broker, "client"), injection).unwrap();
    assert_eq!(*watcher.0.lock().unwrap(), ["client a"]);
}
