//! C10: while a session lives, its client id belongs to the identity that made
//! it. Another is refused, and the session stays whole.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use latchlight_broker::{
    Access, AllowAll, Authentication, AuthenticationRequest, AuthenticationStep, ClientInfo,
    ConnectRequest, PublishRequest, Refusal,
};
use latchlight_mqtt::{
    Auth, Connect, Packet, Properties, ProtocolVersion, Publish, QoS, ReasonCode, Will,
};
use support::{Client, Disk, TestBroker, VERSIONS, resuming};

use ProtocolVersion::V5;
use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

/// Who says a name is let in by it, with the client ids that begin with it;
/// `thief` may take any.
struct Names;

#[async_trait]
impl Access for Names {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        // Somebody else's turn comes in between, as it does with a slow check.
        tokio::task::yield_now().await;
        let name = request.username.ok_or(ReasonCode::NotAuthorized)?;
        let rest = request.client_id.strip_prefix(name);
        let is_own = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        match is_own || name == "thief" {
            true => Ok(name.into()),
            false => Err(ReasonCode::ClientIdentifierNotValid),
        }
    }

    fn authorize_publish(&self, _: &ClientInfo, _: &PublishRequest<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }

    /// A method by which a client says who it is, and is asked once more.
    fn begin_authentication(
        &self,
        _: &AuthenticationRequest<'_>,
    ) -> Result<Box<dyn Authentication>, ReasonCode> {
        Ok(Box::new(AskedTwice))
    }
}

struct AskedTwice;

#[async_trait]
impl Authentication for AskedTwice {
    async fn step(&mut self, data: &[u8]) -> Result<AuthenticationStep, ReasonCode> {
        Ok(match data.strip_prefix(b"I am ") {
            Some(name) => AuthenticationStep::Success {
                identity: String::from_utf8_lossy(name).into(),
                data: Bytes::new(),
            },
            None => AuthenticationStep::Challenge("who?".into()),
        })
    }
}

fn auth(reason: ReasonCode, data: &'static str) -> Packet {
    let mut properties = Properties::new();
    properties.make_mut().authentication_method = Some("ask".into());
    properties.make_mut().authentication_data = Some(data.into());
    Packet::Auth(Auth { reason, properties })
}

fn will(payload: &'static str, delay: Option<u32>) -> Will {
    let mut properties = Properties::new();
    if delay.is_some() {
        properties.make_mut().will_delay_interval = delay;
    }
    Will {
        topic: "door/online".try_into().unwrap(),
        payload: payload.into(),
        qos: AtMostOnce,
        retain: false,
        properties,
    }
}

/// A CONNECT of this user to the session of `door`, which outlives the
/// connection.
fn as_user(name: &'static str, version: ProtocolVersion, clean_start: bool) -> Connect {
    let connect = Connect { username: Some(name.into()), ..resuming(version, "door") };
    Connect { clean_start, ..connect }
}

/// Nobody else gets in, whatever version and start it tries.
fn assert_safe(broker: &TestBroker) {
    for version in VERSIONS {
        for clean_start in [true, false] {
            // Nor is it heard by a will.
            let will = Some(will("stolen", None));
            let connect = Connect { will, ..as_user("thief", version, clean_start) };
            let (mut thief, connack) = Client::try_connect(broker.address(), connect);
            assert_eq!(connack.reason, ReasonCode::NotAuthorized, "{version}");
            assert!(!connack.session_present);
            thief.expect_closed();
        }
    }
}

#[test]
fn a_connected_session_stays_whole() {
    for version in VERSIONS {
        let broker = TestBroker::with_access(Names);
        let mut watcher = Client::connect_with(broker.address(), {
            Connect { username: Some("watcher".into()), ..Connect::new(V5, "watcher") }
        })
        .0;
        watcher.subscribe("door/online", AtMostOnce);
        let will = Some(will("offline", None));
        let connect = Connect { will, ..as_user("door", version, true) };
        let (mut door, _) = Client::connect_with(broker.address(), connect);
        door.subscribe("door/down", ExactlyOnce);
        watcher.publish("door/down", "1", AtLeastOnce);
        watcher.publish("door/down", "2", ExactlyOnce);
        let open = [door.next_publish(), door.next_publish()];
        let id = door.next_id();
        let publish = Publish { qos: ExactlyOnce, ..Publish::new("door/up", "x") };
        door.send(Packet::Publish(Publish { packet_id: Some(id), ..publish }));
        assert!(!door.next_pubrec(id).is_error());

        assert_safe(&broker);

        // The connection is the same, its exchanges go on, its will waits.
        for publish in &open {
            door.acknowledge(publish);
        }
        door.pubrel(id);
        assert_eq!(door.next_pubcomp(id), ReasonCode::Success);
        watcher.publish("door/down", "3", AtLeastOnce);
        assert_eq!(door.next_message().1, "3");
        watcher.expect_nothing();
        assert_eq!(broker.counters().takeovers, 0);
        door.vanish();
        assert_eq!(watcher.next_message().1, "offline");
    }
}

#[test]
fn an_offline_session_stays_whole_also_over_a_restart() {
    let disk = Disk::default();
    let on = |disk: &Disk| TestBroker::build(|b| b.access(Names).store(disk.clone()));
    let mut broker = on(&disk);
    let (mut door, _) = Client::connect_with(broker.address(), as_user("door", V5, true));
    door.subscribe("door/down", ExactlyOnce);
    door.vanish();
    let watcher = Connect { username: Some("watcher".into()), ..Connect::new(V5, "watcher") };
    let (mut watcher, _) = Client::connect_with(broker.address(), watcher);
    watcher.publish("door/down", "1", AtLeastOnce);
    watcher.publish("door/down", "2", ExactlyOnce);
    assert_safe(&broker);

    let disk = disk.cut();
    broker.close();
    let mut broker = on(&disk);
    assert_safe(&broker);
    // A refused one is in no store.
    let disk = disk.cut();
    broker.close();
    let broker = on(&disk);
    assert_safe(&broker);
    assert_eq!(broker.counters().sessions, 1);
    let (mut door, connack) = Client::connect_with(broker.address(), as_user("door", V5, false));
    assert!(connack.session_present);
    for expected in ["1", "2"] {
        let publish = door.next_publish();
        assert_eq!(publish.payload, expected);
        door.acknowledge(&publish);
    }
    door.expect_nothing();
}

/// A will that waits is neither called off nor sent before its time.
#[test]
fn a_delayed_will_waits_for_its_owner() {
    let broker = TestBroker::with_access(Names);
    let connect = Connect { username: Some("watcher".into()), ..Connect::new(V5, "watcher") };
    let (mut watcher, _) = Client::connect_with(broker.address(), connect);
    watcher.subscribe("door/online", AtMostOnce);
    let vanish = |delay| {
        let will = Some(will("offline", Some(delay)));
        let connect = Connect { will, ..as_user("door", V5, false) };
        Client::connect_with(broker.address(), connect).0.vanish();
        broker.until("it is gone", |broker| broker.counters().connections == 1);
    };
    vanish(600);
    assert_safe(&broker);
    watcher.expect_nothing();
    // Its owner calls it off, and leaves another one.
    vanish(1);
    assert_safe(&broker);
    assert_eq!(watcher.next_message().1, "offline");
    watcher.expect_nothing();
}

#[test]
fn a_share_is_not_taken_with_the_client_id_of_its_member() {
    let broker = TestBroker::with_access(Names);
    let connect = Connect { username: Some("watcher".into()), ..Connect::new(V5, "watcher") };
    let (mut watcher, _) = Client::connect_with(broker.address(), connect);
    let (mut door, _) = Client::connect_with(broker.address(), as_user("door", V5, true));
    door.subscribe("$share/doors/jobs", AtLeastOnce);
    watcher.publish("jobs", "1", AtLeastOnce);
    door.next_publish();
    door.vanish();
    broker.until("it is gone", |broker| broker.counters().connections == 1);
    watcher.publish("jobs", "2", AtLeastOnce);
    assert_safe(&broker);
    // What its member had was not handed on, either.
    assert_eq!(broker.counters().shared_handed_over, 0);
    let (mut door, _) = Client::connect_with(broker.address(), as_user("door", V5, false));
    for expected in ["1", "2"] {
        let publish = door.next_publish();
        assert_eq!(publish.payload, expected);
        door.acknowledge(&publish);
    }
}

/// Neither at CONNECT, nor while its owner is being asked anew.
#[test]
fn no_authentication_method_leads_to_anothers_session() {
    let broker = TestBroker::with_access(Names);
    let by_method = |data: &'static str| {
        let mut connect = Connect { username: None, ..as_user("door", V5, false) };
        let properties = connect.properties.make_mut();
        properties.authentication_method = Some("ask".into());
        properties.authentication_data = Some(data.into());
        connect
    };
    let (mut door, _) = Client::connect_with(broker.address(), by_method("I am door"));
    door.subscribe("door/down", AtLeastOnce);
    door.send(auth(ReasonCode::ReAuthenticate, "hello"));
    assert!(matches!(door.next(), Packet::Auth(_)));

    assert_safe(&broker);
    let mut thief = Client::open(broker.address(), V5);
    thief.send(Packet::Connect(Box::new(by_method("hello"))));
    assert!(matches!(thief.next(), Packet::Auth(_)));
    thief.send(auth(ReasonCode::ContinueAuthentication, "I am thief"));
    match thief.next() {
        Packet::ConnAck(connack) => assert_eq!(connack.reason, ReasonCode::NotAuthorized),
        other => panic!("expected CONNACK, received {other:?}"),
    }
    thief.expect_closed();

    door.send(auth(ReasonCode::ContinueAuthentication, "I am door"));
    match door.next() {
        Packet::Auth(auth) => assert_eq!(auth.reason, ReasonCode::Success),
        other => panic!("expected AUTH, received {other:?}"),
    }
    let connect = Connect { username: Some("other".into()), ..Connect::new(V5, "other") };
    let (mut other, _) = Client::connect_with(broker.address(), connect);
    other.publish("door/down", "still here", AtLeastOnce);
    assert_eq!(door.next_message().1, "still here");
    // It becomes nobody else, and its session waits for it alone.
    door.send(auth(ReasonCode::ReAuthenticate, "I am thief"));
    door.expect_disconnect(ReasonCode::NotAuthorized);
    assert_safe(&broker);
    let (_, connack) = Client::connect_with(broker.address(), by_method("I am door"));
    assert!(connack.session_present);
}

#[test]
fn a_client_id_is_free_when_its_session_has_ended() {
    let broker = TestBroker::with_access(Names);
    let mut connect = as_user("door", V5, true);
    connect.properties.make_mut().session_expiry_interval = None;
    let (door, _) = Client::connect_with(broker.address(), connect);
    assert_safe(&broker);
    door.disconnect();
    broker.until("the session has ended", |broker| broker.counters().sessions == 0);
    let connect = as_user("thief", V5, false);
    let (_thief, connack) = Client::connect_with(broker.address(), connect);
    assert!(!connack.session_present);
    let (_, connack) = Client::try_connect(broker.address(), as_user("door", V5, true));
    assert_eq!(connack.reason, ReasonCode::NotAuthorized);
}

/// The rule that the server has for devices, as a hook says it.
#[test]
fn an_identity_has_the_client_ids_that_the_hook_lets_it_have() {
    let broker = TestBroker::with_access(Names);
    for (client_id, is_own) in
        [("door", true), ("door.1", true), ("door.a/b", true), ("doorbell", false), ("lamp", false)]
    {
        let connect = Connect { username: Some("door".into()), ..Connect::new(V5, client_id) };
        let (_, connack) = Client::try_connect(broker.address(), connect);
        assert_eq!(!connack.reason.is_error(), is_own, "{client_id}");
    }
}

/// At the same moment: whoever comes first, the others are refused.
#[test]
fn of_many_that_come_at_once_one_identity_gets_the_session() {
    let broker = TestBroker::with_access(Names);
    for _ in 0..20 {
        let address = broker.address();
        let all: Vec<_> = ["door", "thief", "door", "thief"]
            .map(|name| {
                std::thread::spawn(move || {
                    let (client, connack) = Client::try_connect(address, as_user(name, V5, false));
                    (name, client, !connack.reason.is_error())
                })
            })
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        let let_in: Vec<_> = all.iter().filter(|(.., is_in)| *is_in).map(|it| it.0).collect();
        assert!(!let_in.is_empty());
        assert!(let_in.iter().all(|name| *name == let_in[0]), "{let_in:?}");
        drop(all);
        let reason = ReasonCode::AdministrativeAction;
        assert!(broker.wait(broker.end_session("door", reason)));
    }
}

/// Without credentials there is one identity, which is everybody's: see
/// docs/broker.md. Who has a name is safe from it.
#[test]
fn who_says_no_name_shares_client_ids_with_all_others_that_say_none() {
    let broker = TestBroker::with_access(AllowAll);
    let nameless = || Connect { clean_start: false, ..resuming(V5, "door") };
    let named = |name: &'static str| Connect { username: Some(name.into()), ..nameless() };
    let mut first = Client::connect_with(broker.address(), nameless()).0;
    let (_, connack) = Client::try_connect(broker.address(), named("alice"));
    assert_eq!(connack.reason, ReasonCode::NotAuthorized);
    let (second, connack) = Client::connect_with(broker.address(), nameless());
    assert!(connack.session_present);
    first.expect_disconnect(ReasonCode::SessionTakenOver);
    second.disconnect();
    broker.wait(broker.end_session("door", ReasonCode::AdministrativeAction));
    let _alice = Client::connect_with(broker.address(), named("alice")).0;
    for other in [nameless(), named("bob")] {
        let (_, connack) = Client::try_connect(broker.address(), other);
        assert_eq!(connack.reason, ReasonCode::NotAuthorized);
    }
}
