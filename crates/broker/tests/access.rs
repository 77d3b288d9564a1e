//! The access hook and the observers: who may do what, what a refusal looks
//! like to a client (C1, C10), and what is seen of it.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use latchlight_broker::{
    Access, AllowAll, ClientInfo, ConnectRequest, Observer, PublishRequest, Refusal,
};
use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion, Publish, QoS, ReasonCode, SubscriptionOptions, Will,
};
use support::{Client, TestBroker, VERSIONS};

use ProtocolVersion::{V5, V31, V311};
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// The password is the user's name backwards; `locked/…` is for nobody, and
/// nothing below `commands/` may be retained.
struct Rules;

#[async_trait]
impl Access for Rules {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        let name = request.username.ok_or(ReasonCode::NotAuthorized)?;
        let expected: String = name.chars().rev().collect();
        // Somebody else's turn comes in between, as it does with a slow check.
        tokio::task::yield_now().await;
        match request.password {
            Some(password) if password == expected.as_bytes() => Ok(name.into()),
            _ => Err(ReasonCode::BadUserNameOrPassword),
        }
    }

    fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        assert!(!client.identity.is_empty());
        if request.topic.starts_with("commands/") && request.retain {
            return Err(Refusal::Disconnect(ReasonCode::NotAuthorized));
        }
        if request.topic.starts_with("locked/") {
            return Err(Refusal::Ignore(ReasonCode::NotAuthorized));
        }
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, filter: &str) -> Result<(), ReasonCode> {
        match filter.starts_with("locked/") || filter.starts_with(['+', '#']) {
            true => Err(ReasonCode::NotAuthorized),
            false => Ok(()),
        }
    }
}

/// Allows everything but what is retained on `door/down`, once that has become
/// a door's.
#[derive(Clone, Default)]
struct Adoption {
    broker: Arc<OnceLock<latchlight_broker::Broker>>,
    adopted: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Access for Adoption {
    async fn authenticate(&self, _: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok("anyone".into())
    }

    fn authorize_publish(
        &self,
        _: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        if self.adopted.load(Ordering::SeqCst) && request.retain {
            return Err(Refusal::Disconnect(ReasonCode::NotAuthorized));
        }
        if request.topic == "door/down" && self.asked.fetch_add(1, Ordering::SeqCst) > 0 {
            // The topic becomes a door's while this very message is on its way.
            self.adopted.store(true, Ordering::SeqCst);
            assert!(self.broker.get().unwrap().forget_retained("door/down"));
        }
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }
}

/// C1: neither what was there before is kept, nor what comes at that moment.
#[test]
fn nothing_is_retained_on_a_topic_that_is_forbidden_from_now_on() {
    let rules = Adoption::default();
    let broker = TestBroker::with_access(rules.clone());
    rules.broker.set(broker.clone()).ok().unwrap();
    let mut client = Client::connect(broker.address(), V5, "client");
    for _ in 0..2 {
        client.publish_retained("door/down", "unlock", AtLeastOnce);
    }
    assert_eq!(broker.counters().retained_messages, 0);
    client.subscribe("door/down", AtLeastOnce);
    client.expect_nothing();
}

#[test]
fn a_wrong_password_is_refused_and_a_right_one_is_not() {
    let broker = TestBroker::with_access(Rules);
    for version in VERSIONS {
        let connect = |username: Option<&str>, password: Option<&'static str>| Connect {
            username: username.map(Into::into),
            password: password.map(Into::into),
            ..Connect::new(version, "device")
        };
        let reason = |connect| Client::try_connect(broker.address(), connect).1.reason;
        assert_eq!(reason(connect(Some("abc"), Some("cba"))), ReasonCode::Success);
        let refused = [ReasonCode::BadUserNameOrPassword, ReasonCode::NotAuthorized];
        assert!(refused.contains(&reason(connect(Some("abc"), Some("abc")))));
        assert!(refused.contains(&reason(connect(Some("abc"), None))));
        assert!(refused.contains(&reason(connect(None, None))));
    }
}

#[test]
fn a_refused_publish_reaches_nobody_and_is_never_a_success_in_mqtt_5() {
    let broker = TestBroker::with_access(Rules);
    let mut watcher = client(&broker, V5, "watcher");
    watcher.subscribe("free/#", AtMostOnce);
    let mut publisher = client(&broker, V5, "publisher");
    assert_eq!(publisher.publish("locked/a", "x", AtLeastOnce), ReasonCode::NotAuthorized);
    assert_eq!(publisher.publish("locked/a", "x", ExactlyOnce), ReasonCode::NotAuthorized);
    // QoS 0 has no answer: it is dropped, and counted.
    publisher.publish("locked/a", "x", AtMostOnce);
    assert_eq!(broker.counters().publishes_refused, 3);
    for version in [V31, V311] {
        // 3.1.1: [MQTT-3.3.5-2] acknowledged as ever, or the end; here the former.
        let mut publisher = client(&broker, version, "old");
        publisher.publish("locked/a", "x", AtLeastOnce);
        publisher.publish("locked/a", "x", ExactlyOnce);
    }
    assert_eq!(publisher.publish("free/a", "x", AtLeastOnce), ReasonCode::Success);
    assert_eq!(watcher.next_message().0, "free/a");
    watcher.expect_nothing();
}

/// C1, the broker's part: with the hook's refusal, a retained command is told
/// 0x87 in the acknowledgement, or the connection ends; nothing is stored.
#[test]
fn a_retained_command_is_refused_in_the_way_of_each_version_and_qos() {
    let broker = TestBroker::with_access(Rules);
    for version in VERSIONS {
        for qos in [AtMostOnce, AtLeastOnce, ExactlyOnce] {
            let mut publisher = client(&broker, version, "publisher");
            publisher.send(Packet::Publish(Publish {
                qos,
                retain: true,
                packet_id: PacketId::new(5).filter(|_| qos != AtMostOnce),
                ..Publish::new("commands/door", "unlock")
            }));
            match (version, qos) {
                (V5, AtLeastOnce) => {
                    let reason = publisher.next_puback(PacketId::new(5).unwrap());
                    assert_eq!(reason, ReasonCode::NotAuthorized);
                    publisher.expect_nothing();
                }
                (V5, ExactlyOnce) => {
                    let reason = publisher.next_pubrec(PacketId::new(5).unwrap());
                    assert_eq!(reason, ReasonCode::NotAuthorized);
                    publisher.expect_nothing();
                }
                _ => publisher.expect_disconnect(ReasonCode::NotAuthorized),
            }
        }
    }
    assert_eq!(broker.counters().retained_messages, 0);
    let mut device = client(&broker, V5, "device");
    device.subscribe("commands/door", AtLeastOnce);
    device.expect_nothing();
}

#[test]
fn a_refused_subscription_is_answered_and_brings_nothing() {
    let broker = TestBroker::with_access(Rules);
    for version in VERSIONS {
        let mut subscriber = client(&broker, version, "subscriber");
        for filter in ["locked/#", "#", "+/a", "$share/group/#", "$share/group/locked/a"] {
            let reason = subscriber.try_subscribe(filter, SubscriptionOptions::default());
            match version {
                V5 => assert_eq!(reason, ReasonCode::NotAuthorized, "{filter}"),
                _ => assert_eq!(reason, ReasonCode::UnspecifiedError, "{filter}"),
            }
        }
        let mut publisher = client(&broker, V5, "publisher");
        publisher.publish("free/a", "x", AtLeastOnce);
        subscriber.expect_nothing();
    }
    assert_eq!(broker.counters().subscriptions, 0);
}

#[test]
fn a_will_takes_the_same_check_as_a_publish() {
    let broker = TestBroker::with_access(Rules);
    for (topic, retain) in [("locked/a", false), ("commands/door", true)] {
        let will = Will {
            topic: topic.try_into().unwrap(),
            payload: "unlock".into(),
            qos: AtLeastOnce,
            retain,
            properties: Default::default(),
        };
        for version in VERSIONS {
            let connect = Connect { will: Some(will.clone()), ..credentials(version, "device") };
            let (mut client, connack) = Client::try_connect(broker.address(), connect);
            assert_eq!(connack.reason, ReasonCode::NotAuthorized);
            client.expect_closed();
        }
    }
    assert_eq!(broker.counters().sessions, 0);
}

/// C10
#[test]
fn a_client_id_belongs_to_its_identity_while_the_session_lives() {
    let broker = TestBroker::with_access(Rules);
    let as_user = |name: &'static str, clean_start| {
        let mut connect = Connect {
            username: Some(name.into()),
            password: Some(name.chars().rev().collect::<String>().into()),
            clean_start,
            ..Connect::new(V5, "front-door")
        };
        connect.properties.make_mut().session_expiry_interval = Some(600);
        Client::try_connect(broker.address(), connect)
    };
    let (mut owner, connack) = as_user("owner", true);
    assert_eq!(connack.reason, ReasonCode::Success);
    owner.subscribe("free/a", AtLeastOnce);
    for clean_start in [true, false] {
        let (mut thief, connack) = as_user("thief", clean_start);
        assert!(connack.reason.is_error());
        thief.expect_closed();
    }
    // The session is whole, connected or not.
    owner.expect_nothing();
    owner.disconnect();
    assert!(as_user("thief", true).1.reason.is_error());
    client(&broker, V5, "publisher").publish("free/a", "kept", AtLeastOnce);
    let (mut owner, connack) = as_user("owner", false);
    assert!(connack.session_present);
    assert_eq!(owner.next_message().1, "kept");
}

#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Observer for Diary {
    fn connected(&self, client: &Arc<ClientInfo>) {
        assert!(client.address.is_some());
        self.write(format!("{} connected", client.client_id));
    }

    fn disconnected(&self, client: &Arc<ClientInfo>, reason: ReasonCode, _: bool) {
        self.write(format!("{} disconnected: {reason:?}", client.client_id));
    }

    fn subscribed(&self, client: &Arc<ClientInfo>, filter: &str, qos: QoS) {
        self.write(format!("{} subscribed to {filter} at {qos:?}", client.client_id));
    }

    fn unsubscribed(&self, client: &Arc<ClientInfo>, filter: &str) {
        self.write(format!("{} unsubscribed from {filter}", client.client_id));
    }
}

#[test]
fn observers_see_who_comes_and_goes() {
    let diary = Diary::default();
    let broker = TestBroker::build(|builder| builder.access(AllowAll).observer(diary.clone()));
    let durable = |clean_start| {
        let mut connect = Connect { clean_start, ..Connect::new(V5, "device") };
        connect.properties.make_mut().session_expiry_interval = Some(600);
        Client::connect_with(broker.address(), connect).0
    };
    let mut client = durable(true);
    client.subscribe("a", AtLeastOnce);
    client.subscribe("b", AtMostOnce);
    client.unsubscribe("b");
    client.disconnect();
    broker.until("it is gone", |_| diary.0.lock().unwrap().len() == 5);
    // A session that goes on has its subscriptions again.
    durable(false).disconnect();
    broker.until("it is gone", |_| diary.0.lock().unwrap().len() == 8);
    let expected = [
        "device connected",
        "device subscribed to a at AtLeastOnce",
        "device subscribed to b at AtMostOnce",
        "device unsubscribed from b",
        "device disconnected: Success",
        "device connected",
        "device subscribed to a at AtLeastOnce",
        "device disconnected: Success",
    ];
    assert_eq!(*diary.0.lock().unwrap(), expected);
}

#[test]
fn administrators_see_clients_and_disconnect_them() {
    let broker = TestBroker::with_access(Rules);
    let mut new = client(&broker, V5, "new");
    let mut old = client(&broker, V311, "old");
    let mut clients = broker.clients();
    clients.sort_by(|a, b| a.client_id.cmp(&b.client_id));
    let seen: Vec<_> =
        clients.iter().map(|info| (&*info.client_id, &*info.identity, info.version)).collect();
    assert_eq!(seen, [("new", "user", V5), ("old", "user", V311)]);
    assert!(broker.disconnect("new", ReasonCode::AdministrativeAction));
    assert!(broker.disconnect("old", ReasonCode::AdministrativeAction));
    assert!(!broker.disconnect("nobody", ReasonCode::AdministrativeAction));
    new.expect_disconnect(ReasonCode::AdministrativeAction);
    old.expect_closed();
    broker.until("both are gone", |broker| broker.clients().is_empty());
}

fn credentials(version: ProtocolVersion, client_id: &str) -> Connect {
    Connect {
        username: Some("user".into()),
        password: Some("resu".into()),
        ..Connect::new(version, client_id)
    }
}

fn client(broker: &TestBroker, version: ProtocolVersion, client_id: &str) -> Client {
    Client::connect_with(broker.address(), credentials(version, client_id)).0
}
