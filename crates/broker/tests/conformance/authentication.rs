//! Enhanced authentication (MQTT 5.0, 3.15 and 4.12).

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{
    Access, Authentication, AuthenticationRequest, AuthenticationStep, ClientInfo, ConnectRequest,
    PublishRequest, Refusal,
};
use latchlight_mqtt::{Auth, Connect, Packet, Properties, ProtocolVersion, QoS, ReasonCode};

use crate::bytes::{packet, properties, publish, subscribe};
use crate::support::{Client, TestBroker};
use ProtocolVersion::V5;
use ReasonCode::{ContinueAuthentication, ReAuthenticate, Success};

/// One method, `ask`: it asks `again` until the client says `yes` or `no`.
pub(crate) struct Ask;

#[async_trait]
impl Access for Ask {
    async fn authenticate(&self, _: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Ok("anyone".into())
    }

    fn begin_authentication(
        &self,
        request: &AuthenticationRequest<'_>,
    ) -> Result<Box<dyn Authentication>, ReasonCode> {
        match request.method {
            "ask" => Ok(Box::new(Ask)),
            _ => Err(ReasonCode::BadAuthenticationMethod),
        }
    }

    fn authorize_publish(&self, _: &ClientInfo, _: &PublishRequest<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }
}

#[async_trait]
impl Authentication for Ask {
    async fn step(&mut self, data: &[u8]) -> Result<AuthenticationStep, ReasonCode> {
        Ok(match data {
            b"yes" => AuthenticationStep::Success { identity: "anyone".into(), data: "in".into() },
            b"no" => return Err(ReasonCode::NotAuthorized),
            _ => AuthenticationStep::Challenge("again".into()),
        })
    }
}

pub(crate) fn with(method: &str, data: &str) -> Properties {
    let mut properties = Properties::new();
    properties.make_mut().authentication_method = Some(method.into());
    properties.make_mut().authentication_data = Some(data.to_owned().into());
    properties
}

pub(crate) fn auth(reason: ReasonCode, method: &str, data: &str) -> Packet {
    Packet::Auth(Auth { reason, properties: with(method, data) })
}

/// Says CONNECT with a method.
fn begin(broker: &TestBroker, method: &str, data: &str) -> Client {
    let mut client = Client::open(broker.address(), V5);
    let connect = Connect { properties: with(method, data), ..Connect::new(V5, "client") };
    client.send(Packet::Connect(Box::new(connect)));
    client
}

fn let_in(broker: &TestBroker) -> Client {
    let mut client = begin(broker, "ask", "yes");
    assert!(matches!(client.next(), Packet::ConnAck(ack) if ack.reason == Success));
    client
}

fn expect_refused(client: &mut Client, reason: ReasonCode) {
    match client.next() {
        Packet::ConnAck(connack) => assert_eq!(connack.reason, reason),
        other => panic!("expected CONNACK, received {other:?}"),
    }
    client.expect_closed();
}

/// 5.0: [MQTT-4.12.0-1].
#[test]
fn a_method_that_nobody_knows_is_refused() {
    let broker = TestBroker::with_access(Ask);
    expect_refused(&mut begin(&broker, "other", "yes"), ReasonCode::BadAuthenticationMethod);
    expect_refused(
        &mut begin(&TestBroker::start(), "ask", "yes"),
        ReasonCode::BadAuthenticationMethod,
    );
}

/// 5.0: [MQTT-4.12.0-2], [MQTT-4.12.0-5], [MQTT-3.2.0-1], [MQTT-3.15.2-1].
#[test]
fn each_step_names_the_method_and_says_continue() {
    let broker = TestBroker::with_access(Ask);
    let mut client = begin(&broker, "ask", "hello");
    for _ in 0..3 {
        let bytes = client.next_bytes();
        assert_eq!(bytes[..3], [0xF0, bytes.len() as u8 - 2, 0x18]);
        let Packet::Auth(asked) = Packet::decode(bytes.into(), V5).unwrap() else {
            panic!("no AUTH")
        };
        assert_eq!(asked.properties, with("ask", "again"));
        client.send(auth(ContinueAuthentication, "ask", "hello"));
    }
    client.next_bytes();
    client.send(auth(ContinueAuthentication, "ask", "yes"));
    let Packet::ConnAck(connack) = client.next() else { panic!("no CONNACK") };
    assert_eq!(connack.reason, Success);
    assert_eq!(connack.properties.authentication_method.as_deref(), Some("ask"));
    client.expect_nothing();
    // Anew: the same, and the end of it is an AUTH, too.
    client.send(auth(ReAuthenticate, "ask", "hello"));
    assert_eq!(client.next(), auth(ContinueAuthentication, "ask", "again"));
    client.send(auth(ContinueAuthentication, "ask", "yes"));
    assert_eq!(client.next(), auth(Success, "ask", "in"));
    client.expect_nothing();
}

/// 5.0: [MQTT-4.12.0-3], [MQTT-4.12.0-4], [MQTT-4.12.0-5].
#[test]
fn an_answer_that_is_none_or_refused_ends_the_connection() {
    let broker = TestBroker::with_access(Ask);
    expect_refused(&mut begin(&broker, "ask", "no"), ReasonCode::NotAuthorized);
    for answer in [
        auth(ContinueAuthentication, "ask", "no"),
        auth(Success, "ask", "yes"),
        auth(ReAuthenticate, "ask", "yes"),
        auth(ContinueAuthentication, "other", "yes"),
        Packet::Auth(Auth { reason: ContinueAuthentication, properties: Properties::new() }),
    ] {
        let mut client = begin(&broker, "ask", "hello");
        assert_eq!(client.next(), auth(ContinueAuthentication, "ask", "again"));
        client.send(answer.clone());
        client.expect_not_let_in(&format!("{answer:?}"));
    }
}

/// 5.0: [MQTT-3.1.2-30], [MQTT-3.14.0-1].
#[test]
fn nothing_else_is_taken_before_the_client_is_let_in() {
    let broker = TestBroker::with_access(Ask);
    let mut reader = Client::connect(broker.address(), V5, "reader");
    reader.subscribe("#", QoS::AtMostOnce);
    for said in [
        publish(V5, 0x30, "a", 0, "too early"),
        subscribe(V5, 1, "a", 0),
        packet(0xC0, &[]),
        packet(0x82, &[]),
    ] {
        let mut client = begin(&broker, "ask", "hello");
        assert_eq!(client.next(), auth(ContinueAuthentication, "ask", "again"));
        client.send_bytes(&said);
        client.expect_not_let_in("another packet");
        let mut client = begin(&broker, "ask", "hello");
        client.try_send_bytes(&said);
        match client.try_next() {
            // It had asked already.
            Some(Packet::Auth(_)) => client.expect_not_let_in("another packet"),
            Some(Packet::ConnAck(connack)) => assert!(connack.reason.is_error()),
            Some(other) => panic!("unexpected {other:?}"),
            None => {}
        }
        // Not even behind a CONNECT that would be enough, in one piece with it.
        let connect = Connect { properties: with("ask", "yes"), ..Connect::new(V5, "client") };
        let mut bytes = Vec::new();
        Packet::Connect(Box::new(connect)).encode(V5, &mut bytes).unwrap();
        let mut client = Client::open(broker.address(), V5);
        client.send_bytes(&[bytes, said].concat());
        client.expect_not_let_in("another packet in one piece with CONNECT");
    }
    reader.expect_nothing();
}

/// 5.0: [MQTT-4.12.0-6], [MQTT-4.12.0-7].
#[test]
fn without_a_method_there_is_no_auth() {
    let broker = TestBroker::with_access(Ask);
    let connect = Connect::new(V5, "client");
    let (mut client, connack) = Client::connect_with(broker.address(), connect);
    assert_eq!(connack.properties.authentication_method, None);
    assert_eq!(connack.properties.authentication_data, None);
    client.expect_nothing();
    for said in [
        auth(ReAuthenticate, "ask", "yes"),
        auth(ContinueAuthentication, "ask", "yes"),
        Packet::Auth(Auth { reason: Success, properties: Properties::new() }),
    ] {
        let mut client = Client::connect(broker.address(), V5, "client");
        client.send(said);
        client.expect_disconnect(ReasonCode::ProtocolError);
    }
    // Data without a method stands for nothing.
    let mut client = Client::open(broker.address(), V5);
    let head = [&[0, 4][..], b"MQTT", &[5, 2, 0, 60]].concat();
    let data = properties(V5, &[0x16, 0, 1, b'x']);
    client.send_bytes(&packet(0x10, &[head, data, vec![0, 1, b'a']].concat()));
    client.expect_not_let_in("data without a method");
}

/// 5.0: [MQTT-4.12.1-1], [MQTT-4.12.1-2].
#[test]
fn who_fails_to_authenticate_anew_is_disconnected() {
    let broker = TestBroker::with_access(Ask);
    let mut client = let_in(&broker);
    client.send(auth(ReAuthenticate, "other", "yes"));
    let reasons = [ReasonCode::ProtocolError, ReasonCode::BadAuthenticationMethod];
    client.expect_cut(V5, &reasons, "another method");
    let mut client = let_in(&broker);
    client.send(auth(ReAuthenticate, "ask", "no"));
    client.expect_disconnect(ReasonCode::NotAuthorized);
    let mut client = let_in(&broker);
    client.send(auth(ReAuthenticate, "ask", "hello"));
    assert_eq!(client.next(), auth(ContinueAuthentication, "ask", "again"));
    // Other packets go on meanwhile.
    client.expect_nothing();
    client.send(auth(ContinueAuthentication, "ask", "no"));
    client.expect_disconnect(ReasonCode::NotAuthorized);
    let mut client = let_in(&broker);
    client.send(auth(ContinueAuthentication, "ask", "yes"));
    client.expect_disconnect(ReasonCode::ProtocolError);
}
