//! Enhanced authentication (MQTT 5, 4.12): several steps at CONNECT, and anew
//! while connected.
#![allow(clippy::unwrap_used)]

#[path = "../examples/scram/scram.rs"]
mod scram;
mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use latchlight_broker::{
    Access, Authentication, AuthenticationRequest, AuthenticationStep, ClientInfo, ConnectRequest,
    Options, PublishRequest, Refusal,
};
use latchlight_mqtt::{
    Auth, ConnAck, Connect, Disconnect, Packet, Properties, ProtocolVersion, Publish, QoS,
    ReasonCode, Subscribe, SubscribeFilter, SubscriptionOptions,
};
use scram::{METHOD, Scram};
use sha2::{Digest, Sha256};
use support::{Client, TestBroker};

use ProtocolVersion::{V5, V311};
use QoS::AtLeastOnce;
use ReasonCode::{
    BadAuthenticationMethod, ContinueAuthentication, NotAuthorized, ProtocolError, ReAuthenticate,
    Success,
};

/// SCRAM-SHA-256 as in the example, and three methods of a test's own: `echo`
/// lets in who answers `yes`, `name` takes who the client says it is, `panics`
/// panics when it is asked anew.
struct Methods(Arc<Scram>);

impl Methods {
    fn new() -> Self {
        let mut scram = Scram::new().unwrap();
        scram.add("alice", b"wonder").unwrap();
        Self(scram.into())
    }
}

#[async_trait]
impl Access for Methods {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        request.username.map(Into::into).ok_or(NotAuthorized)
    }

    fn begin_authentication(
        &self,
        request: &AuthenticationRequest<'_>,
    ) -> Result<Box<dyn Authentication>, ReasonCode> {
        if let Some(current) = request.current {
            assert_eq!(&*current.client_id, request.connect.client_id);
            assert!(request.connect.address.is_some());
        }
        assert!(!request.connect.listener.is_empty());
        match request.method {
            METHOD => Ok(Box::new(self.0.begin()?)),
            "echo" => Ok(Box::new(Echo)),
            "name" => Ok(Box::new(Name)),
            "panics" => Ok(Box::new(Panics(request.current.is_some()))),
            _ => Err(BadAuthenticationMethod),
        }
    }

    fn authorize_publish(&self, _: &ClientInfo, _: &PublishRequest<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }
}

struct Echo;

#[async_trait]
impl Authentication for Echo {
    async fn step(&mut self, data: &[u8]) -> Result<AuthenticationStep, ReasonCode> {
        // Somebody else's turn comes in between, as it does with a slow check.
        tokio::task::yield_now().await;
        Ok(match data {
            b"yes" => AuthenticationStep::Success { identity: "echo".into(), data: Bytes::new() },
            b"no" => return Err(ReasonCode::BadUserNameOrPassword),
            data => AuthenticationStep::Challenge(Bytes::copy_from_slice(data)),
        })
    }
}

struct Name;

#[async_trait]
impl Authentication for Name {
    async fn step(&mut self, data: &[u8]) -> Result<AuthenticationStep, ReasonCode> {
        let identity = std::str::from_utf8(data).unwrap().into();
        Ok(AuthenticationStep::Success { identity, data: "welcome".into() })
    }
}

struct Panics(bool);

#[async_trait]
impl Authentication for Panics {
    async fn step(&mut self, _: &[u8]) -> Result<AuthenticationStep, ReasonCode> {
        assert!(!self.0, "as it is told to");
        Ok(AuthenticationStep::Success { identity: "panics".into(), data: Bytes::new() })
    }
}

fn properties(method: &str, data: &str) -> Properties {
    let mut properties = Properties::new();
    properties.make_mut().authentication_method = Some(method.into());
    properties.make_mut().authentication_data =
        Some(data.to_owned().into()).filter(|data: &Bytes| !data.is_empty());
    properties
}

fn connect(client_id: &str, method: &str, data: &str) -> Connect {
    Connect { properties: properties(method, data), ..Connect::new(V5, client_id) }
}

fn auth(reason: ReasonCode, method: &str, data: &str) -> Packet {
    Packet::Auth(Auth { reason, properties: properties(method, data) })
}

/// The next packet, which is an AUTH of this reason and method; gives its data.
fn next_auth(client: &mut Client, reason: ReasonCode, method: &str) -> String {
    match client.next() {
        Packet::Auth(auth) => {
            assert_eq!(auth.reason, reason);
            // [MQTT-4.12.0-5]
            assert_eq!(auth.properties.authentication_method.as_deref(), Some(method));
            let data = auth.properties.authentication_data.clone().unwrap_or_default();
            String::from_utf8(data.to_vec()).unwrap()
        }
        other => panic!("expected AUTH, received {other:?}"),
    }
}

fn next_connack(client: &mut Client) -> ConnAck {
    match client.next() {
        Packet::ConnAck(connack) => *connack,
        other => panic!("expected CONNACK, received {other:?}"),
    }
}

/// Says CONNECT, without waiting for the answer.
fn begin(broker: &TestBroker, connect: Connect) -> Client {
    let mut client = Client::open(broker.address(), V5);
    client.send(Packet::Connect(Box::new(connect)));
    client
}

/// Connects by a method that asks nothing.
fn named(broker: &TestBroker, client_id: &str, name: &str) -> Client {
    let mut client = begin(broker, connect(client_id, "name", name));
    assert_eq!(next_connack(&mut client).reason, Success);
    client
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// SCRAM's client: its last word, and what the server has to answer it with.
fn prove(password: &str, first_bare: &str, asked: &str) -> (String, String) {
    let [nonce, salt, rounds] = asked.split(',').collect::<Vec<_>>()[..] else { panic!("{asked}") };
    let salt = BASE64.decode(&salt[2..]).unwrap();
    let rounds = rounds[2..].parse().unwrap();
    let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), &salt, rounds);
    let client_key = hmac(&salted, b"Client Key");
    let without_proof = format!("c=biws,{nonce}");
    let all = format!("{first_bare},{asked},{without_proof}");
    let signature = hmac(&Sha256::digest(&client_key), all.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    let verifier = BASE64.encode(hmac(&hmac(&salted, b"Server Key"), all.as_bytes()));
    (format!("{without_proof},p={}", BASE64.encode(proof)), format!("v={verifier}"))
}

#[test]
fn a_client_proves_its_password_without_sending_it() {
    let broker = TestBroker::with_access(Methods::new());
    let mut client = begin(&broker, connect("c", METHOD, "n,,n=alice,r=abcdef"));
    // [MQTT-4.12.0-2]
    let asked = next_auth(&mut client, ContinueAuthentication, METHOD);
    let (last, verifier) = prove("wonder", "n=alice,r=abcdef", &asked);
    client.send(auth(ContinueAuthentication, METHOD, &last));
    let connack = next_connack(&mut client);
    assert_eq!(connack.reason, Success);
    // [MQTT-4.12.0-5]
    assert_eq!(connack.properties.authentication_method.as_deref(), Some(METHOD));
    assert_eq!(connack.properties.authentication_data.as_deref(), Some(verifier.as_bytes()));
    assert_eq!(&*broker.clients()[0].identity, "alice");
    client.expect_nothing();

    // And anew, with the session going on.
    client.subscribe("a", AtLeastOnce);
    client.send(auth(ReAuthenticate, METHOD, "n,,n=alice,r=ghi"));
    let asked = next_auth(&mut client, ContinueAuthentication, METHOD);
    let (last, verifier) = prove("wonder", "n=alice,r=ghi", &asked);
    client.send(auth(ContinueAuthentication, METHOD, &last));
    assert_eq!(next_auth(&mut client, Success, METHOD), verifier);
    named(&broker, "other", "other").publish("a", "hello", AtLeastOnce);
    assert_eq!(client.next_message().1, "hello");
}

#[test]
fn a_wrong_proof_and_an_unknown_user_are_refused_alike() {
    let broker = TestBroker::with_access(Methods::new());
    for name in ["alice", "nobody"] {
        let first = format!("n={name},r=abcdef");
        let mut client = begin(&broker, connect("c", METHOD, &format!("n,,{first}")));
        let asked = next_auth(&mut client, ContinueAuthentication, METHOD);
        let (last, _) = prove("wrong", &first, &asked);
        client.send(auth(ContinueAuthentication, METHOD, &last));
        // [MQTT-4.12.0-4]
        assert_eq!(next_connack(&mut client).reason, NotAuthorized);
        client.expect_closed();
    }
    assert_eq!(broker.counters().sessions, 0);
}

#[test]
fn a_method_that_no_hook_knows_is_refused() {
    let broker = TestBroker::with_access(Methods::new());
    let mut client = begin(&broker, connect("c", "unheard-of", ""));
    // [MQTT-4.12.0-1]
    assert_eq!(next_connack(&mut client).reason, BadAuthenticationMethod);
    client.expect_closed();
}

#[test]
fn a_client_that_names_no_method_sees_and_says_nothing_of_one() {
    let broker = TestBroker::with_access(Methods::new());
    let plain = Connect { username: Some("plain".into()), ..Connect::new(V5, "c") };
    let (mut client, connack) = Client::connect_with(broker.address(), plain);
    // [MQTT-4.12.0-6]
    assert_eq!(connack.properties.authentication_method, None);
    assert_eq!(connack.properties.authentication_data, None);
    // [MQTT-4.12.0-7]
    client.send(auth(ReAuthenticate, "echo", "yes"));
    client.expect_disconnect(ProtocolError);
    // 3.1.1: table 2.1, type 15 is reserved.
    let old = Connect { username: Some("old".into()), ..Connect::new(V311, "old") };
    let (mut old, _) = Client::connect_with(broker.address(), old);
    old.send_bytes(&[0xF0, 0]);
    old.expect_closed();
}

#[test]
fn before_the_end_a_client_says_nothing_but_auth() {
    let broker = TestBroker::with_access(Methods::new());
    let filters = vec![SubscribeFilter {
        filter: "a".try_into().unwrap(),
        options: SubscriptionOptions::default(),
    }];
    let packet_id = latchlight_mqtt::PacketId::MIN;
    // [MQTT-3.1.2-30]
    for packet in [
        Packet::PingReq,
        Packet::Publish(Publish::new("a", "x")),
        Packet::Subscribe(Subscribe { packet_id, filters, properties: Properties::new() }),
        Packet::Connect(Box::new(connect("c", "echo", ""))),
    ] {
        let mut client = begin(&broker, connect("c", "echo", "?"));
        next_auth(&mut client, ContinueAuthentication, "echo");
        client.send(packet);
        assert_eq!(next_connack(&mut client).reason, ProtocolError);
        client.expect_closed();
    }
    // Nor behind an answer, in the same breath.
    let mut client = Client::open(broker.address(), V5);
    let mut bytes = Vec::new();
    Packet::Connect(Box::new(connect("c", "echo", "?"))).encode(V5, &mut bytes).unwrap();
    Packet::Publish(Publish::new("a", "x")).encode(V5, &mut bytes).unwrap();
    client.send_bytes(&bytes);
    assert_eq!(next_connack(&mut client).reason, ProtocolError);
    client.read_to_end();
    assert_eq!(broker.counters().received.all_messages(), 0);
    // It may go.
    let mut client = begin(&broker, connect("c", "echo", "?"));
    next_auth(&mut client, ContinueAuthentication, "echo");
    client.send(Packet::Disconnect(Disconnect::new(Success)));
    client.expect_closed();
    assert_eq!(broker.counters().sessions, 0);
}

#[test]
fn an_answer_keeps_to_method_and_reason() {
    let broker = TestBroker::with_access(Methods::new());
    for (answer, reason) in [
        // [MQTT-4.12.0-5]
        (auth(ContinueAuthentication, METHOD, "yes"), BadAuthenticationMethod),
        // [MQTT-4.12.0-3]
        (auth(ReAuthenticate, "echo", "yes"), ProtocolError),
        (auth(Success, "echo", "yes"), ProtocolError),
        // MQTT 5, 3.15.2.2.2
        (Packet::Auth(Auth { reason: Success, properties: Properties::new() }), ProtocolError),
    ] {
        let mut client = begin(&broker, connect("c", "echo", "?"));
        assert_eq!(next_auth(&mut client, ContinueAuthentication, "echo"), "?");
        client.send(answer);
        assert_eq!(next_connack(&mut client).reason, reason);
        client.expect_closed();
    }
}

#[test]
fn the_steps_are_bounded() {
    let broker = TestBroker::with_access(Methods::new());
    let mut client = begin(&broker, connect("c", "echo", "?"));
    for _ in 0..16 {
        next_auth(&mut client, ContinueAuthentication, "echo");
        client.send(auth(ContinueAuthentication, "echo", "?"));
    }
    assert_eq!(next_connack(&mut client).reason, NotAuthorized);
    client.expect_closed();
}

#[test]
fn the_time_before_connect_is_answered_covers_all_steps() {
    let options = Options { connect_timeout: Duration::from_millis(300), ..Options::default() };
    let broker = TestBroker::build(|builder| builder.options(options).access(Methods::new()));
    let mut client = begin(&broker, connect("c", "echo", "?"));
    next_auth(&mut client, ContinueAuthentication, "echo");
    assert_eq!(next_connack(&mut client).reason, NotAuthorized);
    client.expect_closed();
    // And those of one who is connected.
    let mut client = begin(&broker, connect("c", "echo", "yes"));
    assert_eq!(next_connack(&mut client).reason, Success);
    client.send(auth(ReAuthenticate, "echo", "?"));
    next_auth(&mut client, ContinueAuthentication, "echo");
    client.expect_disconnect(NotAuthorized);
}

#[test]
fn a_question_larger_than_the_client_takes_is_not_sent() {
    let broker = TestBroker::with_access(Methods::new());
    let mut connect = connect("c", "echo", &"?".repeat(100));
    connect.properties.make_mut().maximum_packet_size = Some(90);
    // [MQTT-3.1.2-24]
    let mut client = begin(&broker, connect);
    assert_eq!(next_connack(&mut client).reason, ReasonCode::PacketTooLarge);
    client.expect_closed();
}

#[test]
fn other_packets_flow_while_a_client_authenticates_anew() {
    let broker = TestBroker::with_access(Methods::new());
    let mut client = begin(&broker, connect("c", "echo", "yes"));
    assert_eq!(next_connack(&mut client).reason, Success);
    client.subscribe("a", AtLeastOnce);
    client.send(auth(ReAuthenticate, "echo", "?"));
    next_auth(&mut client, ContinueAuthentication, "echo");
    named(&broker, "other", "other").publish("a", "hello", AtLeastOnce);
    let publish = client.next_publish();
    client.acknowledge(&publish);
    client.send(auth(ContinueAuthentication, "echo", "yes"));
    next_auth(&mut client, Success, "echo");
    // And once more.
    client.send(auth(ReAuthenticate, "echo", "yes"));
    next_auth(&mut client, Success, "echo");
    client.expect_nothing();
}

#[test]
fn a_client_that_fails_anew_is_disconnected() {
    let broker = TestBroker::with_access(Methods::new());
    // [MQTT-4.12.1-2]
    for (said, answer, reason) in [
        (auth(ReAuthenticate, "echo", "no"), None, NotAuthorized),
        (auth(ReAuthenticate, "echo", "?"), Some("no"), NotAuthorized),
        // [MQTT-4.12.1-1]
        (auth(ReAuthenticate, "name", "echo"), None, BadAuthenticationMethod),
        // Nothing was asked.
        (auth(ContinueAuthentication, "echo", "yes"), None, ProtocolError),
        (auth(Success, "echo", "yes"), None, ProtocolError),
    ] {
        let mut client = begin(&broker, connect("c", "echo", "yes"));
        assert_eq!(next_connack(&mut client).reason, Success);
        client.send(said);
        if let Some(answer) = answer {
            next_auth(&mut client, ContinueAuthentication, "echo");
            client.send(auth(ContinueAuthentication, "echo", answer));
        }
        client.expect_disconnect(reason);
    }
    // A second one, while the first runs.
    let mut client = begin(&broker, connect("c", "echo", "yes"));
    assert_eq!(next_connack(&mut client).reason, Success);
    client.send(auth(ReAuthenticate, "echo", "?"));
    next_auth(&mut client, ContinueAuthentication, "echo");
    client.send(auth(ReAuthenticate, "echo", "yes"));
    client.expect_disconnect(ProtocolError);
}

/// C10
#[test]
fn who_a_client_is_does_not_change_when_it_authenticates_anew() {
    let broker = TestBroker::with_access(Methods::new());
    let mut owner = named(&broker, "c", "owner");
    owner.send(auth(ReAuthenticate, "name", "owner"));
    assert_eq!(next_auth(&mut owner, Success, "name"), "welcome");
    owner.send(auth(ReAuthenticate, "name", "thief"));
    owner.expect_disconnect(NotAuthorized);
    // Nor when it connects: the session is another's.
    let owner = named(&broker, "d", "owner");
    let mut thief = begin(&broker, connect("d", "name", "thief"));
    assert_eq!(next_connack(&mut thief).reason, NotAuthorized);
    thief.expect_closed();
    owner.disconnect();
}

#[test]
fn a_hook_that_panics_ends_its_client_and_no_other() {
    let broker = TestBroker::with_access(Methods::new());
    let mut other = named(&broker, "other", "other");
    let mut client = begin(&broker, connect("c", "panics", ""));
    assert_eq!(next_connack(&mut client).reason, Success);
    client.send(auth(ReAuthenticate, "panics", ""));
    client.expect_disconnect(ReasonCode::UnspecifiedError);
    other.expect_nothing();
}
