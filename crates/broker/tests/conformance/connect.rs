//! CONNECT (MQTT 5.0 and 3.1.1, 3.1): how it looks, and who is let in.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use latchlight_broker::{Access, ClientInfo, ConnectRequest, Refusal};
use latchlight_mqtt::{Connect, Packet, PacketType, ProtocolVersion, Publish, QoS, ReasonCode};

use crate::bytes::{
    STANDARDS, connect, field, packet, properties, publish, subscribe, unsubscribe, will,
};
use crate::support::{Client, TestBroker, VERSIONS, resuming};
use ProtocolVersion::{V5, V311};

/// 5.0: [MQTT-3.1.0-1];
/// 3.1.1: [MQTT-3.1.0-1].
#[test]
fn whose_first_packet_is_another_is_not_talked_to() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        for first in [
            packet(0x20, &[0, 0]),
            publish(version, 0x30, "a", 0, "x"),
            packet(0x40, &[0, 1]),
            packet(0x62, &[0, 1]),
            subscribe(version, 1, "a", 0),
            unsubscribe(version, 1, "a"),
            packet(0xC0, &[]),
            packet(0xE0, &[]),
            packet(0xF0, &[]),
        ] {
            let mut client = Client::open(broker.address(), version);
            client.send_bytes(&first);
            client.try_send_bytes(&connect(version, 0x02, &[field("client")]));
            client.expect_closed();
        }
    }
}

/// 5.0: [MQTT-3.1.0-2], [MQTT-3.2.0-2];
/// 3.1.1: [MQTT-3.1.0-2].
#[test]
fn a_second_connect_closes_the_connection() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        for id in ["client", "another"] {
            let mut client = Client::connect(broker.address(), version, "client");
            client.send_bytes(&connect(version, 0x02, &[field(id)]));
            client.try_send_bytes(&packet(0xC0, &[]));
            client.expect_cut(version, &[ReasonCode::ProtocolError], "a second CONNECT");
        }
    }
}

/// 5.0: [MQTT-3.1.2-1];
/// 3.1.1: [MQTT-3.1.2-1].
#[test]
fn another_protocol_name_is_not_let_in() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        for name in ["", "mqtt", "MQTt", "MQTT5", "MQIsdp", "HTTP"] {
            let mut client = Client::open(broker.address(), version);
            let head = [field(name), vec![version.level(), 0x02, 0, 60]].concat();
            let fields = if version == V5 { vec![0] } else { Vec::new() };
            client.send_bytes(&packet(0x10, &[head, fields, field("client")].concat()));
            client.expect_not_let_in(name);
        }
    }
}

/// 5.0: [MQTT-3.1.2-2], [MQTT-3.2.2-7];
/// 3.1.1: [MQTT-3.1.2-2], [MQTT-3.2.2-5].
#[test]
fn another_protocol_level_is_told_so_and_not_let_in() {
    let broker = TestBroker::start();
    // Newer ones understand how MQTT 5 says it, perhaps, and older ones 3.1.1.
    for (level, answer) in [
        (0, &[0x20, 2, 0, 1][..]),
        (1, &[0x20, 2, 0, 1]),
        (2, &[0x20, 2, 0, 1]),
        (3, &[0x20, 2, 0, 1]),
        (6, &[0x20, 3, 0, 0x84, 0]),
        (255, &[0x20, 3, 0, 0x84, 0]),
    ] {
        let mut client = Client::open(broker.address(), V5);
        let head = [field("MQTT"), vec![level, 0x02, 0, 60, 0]].concat();
        client.send_bytes(&packet(0x10, &[head, field("client")].concat()));
        assert_eq!(client.next_bytes(), answer, "level {level}");
        client.expect_closed();
    }
}

/// 5.0: [MQTT-3.1.2-3], [MQTT-3.1.4-1];
/// 3.1.1: [MQTT-3.1.2-3], [MQTT-3.1.4-1].
#[test]
fn a_connect_of_another_shape_is_not_let_in() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let id = || field("client");
        let good = connect(version, 0x02, &[id()]);
        let mut shapes = vec![
            ("the reserved flag".to_owned(), connect(version, 0x03, &[id()])),
            ("more than its fields".to_owned(), connect(version, 0x02, &[id(), vec![0]])),
        ];
        for cut in 2..good.len() {
            shapes.push((format!("{cut} bytes of it"), packet(0x10, &good[2..cut])));
        }
        for (what, bytes) in shapes {
            let mut client = Client::open(broker.address(), version);
            client.send_bytes(&bytes);
            match version {
                V5 => client.expect_not_let_in(&what),
                _ => client.expect_closed(),
            }
        }
    }
}

/// MQTT 5, 4.13.1: CONNACK says what is wrong with a CONNECT.
///
/// 5.0: [MQTT-4.13.1-1], [MQTT-3.2.2-8].
#[test]
fn a_connect_that_is_wrong_is_told_why() {
    let broker = TestBroker::start();
    let with = |of_connect: &[u8]| {
        let head = [field("MQTT"), vec![5, 0x02, 0, 60], properties(V5, of_connect)];
        packet(0x10, &[head.concat(), field("client")].concat())
    };
    for (bytes, code) in [
        (connect(V5, 0x03, &[field("client")]), 0x81),
        (connect(V5, 0x02, &[field("client"), vec![0]]), 0x81),
        (connect(V5, 0x06, &[field("client"), will(V5, "a/#", "gone")]), 0x90),
        // Receive Maximum and Maximum Packet Size are not 0, each stands once,
        // and a Topic Alias is for PUBLISH.
        (with(&[0x21, 0, 0]), 0x82),
        (with(&[0x27, 0, 0, 0, 0]), 0x82),
        (with(&[0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1]), 0x82),
        (with(&[0x23, 0, 1]), 0x82),
        (with(&[0x17, 2]), 0x82),
        (with(&[0x7F]), 0x81),
    ] {
        let mut client = Client::open(broker.address(), V5);
        client.send_bytes(&bytes);
        assert_eq!(client.next_bytes(), [0x20, 3, 0, code, 0], "to {bytes:x?}");
        client.expect_closed();
    }
}

/// Whoever comes is written down; some are refused, by their client id.
#[derive(Clone, Default)]
struct Door(Arc<Mutex<Vec<Visitor>>>);

#[derive(Debug, PartialEq, Eq)]
struct Visitor {
    client_id: String,
    username: Option<String>,
    password: Option<Vec<u8>>,
}

#[async_trait]
impl Access for Door {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        self.0.lock().unwrap().push(Visitor {
            client_id: request.client_id.into(),
            username: request.username.map(Into::into),
            password: request.password.map(Into::into),
        });
        match request.client_id.strip_prefix("refused") {
            None => Ok("anyone".into()),
            Some(code) => Err(ReasonCode::ALL
                .into_iter()
                .find(|reason| reason.code().to_string() == code)
                .unwrap_or(ReasonCode::ClientIdentifierNotValid)),
        }
    }

    fn authorize_publish(
        &self,
        _: &ClientInfo,
        _: &latchlight_broker::PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    fn authorize_subscribe(&self, _: &ClientInfo, _: &str) -> Result<(), ReasonCode> {
        Ok(())
    }
}

/// 5.0: [MQTT-3.1.2-16], [MQTT-3.1.2-17], [MQTT-3.1.2-18], [MQTT-3.1.2-19],
/// [MQTT-3.1.3-3];
/// 3.1.1: [MQTT-3.1.2-18], [MQTT-3.1.2-19], [MQTT-3.1.2-20], [MQTT-3.1.2-21],
/// [MQTT-3.1.2-22], [MQTT-3.1.3-3].
#[test]
fn the_fields_are_those_that_the_flags_say() {
    const USERNAME: u8 = 0x80;
    const PASSWORD: u8 = 0x40;
    let door = Door::default();
    let broker = TestBroker::with_access(door.clone());
    for version in STANDARDS {
        for flags in [0, USERNAME, PASSWORD, USERNAME | PASSWORD] {
            for fields in 0..4 {
                let names = ["client", "user", "secret"];
                let payload: Vec<_> = names[..fields].iter().map(field).collect();
                let mut client = Client::open(broker.address(), version);
                client.send_bytes(&connect(version, flags | 0x02, &payload));
                let fits = fields == 1 + flags.count_ones() as usize;
                if !fits || (version == V311 && flags == PASSWORD) {
                    client.expect_not_let_in(&format!("{flags:x} with {fields} fields"));
                    assert!(door.0.lock().unwrap().is_empty());
                    continue;
                }
                assert!(matches!(client.next(), Packet::ConnAck(_)));
                let visitor = door.0.lock().unwrap().remove(0);
                assert_eq!(visitor.client_id, "client");
                let said: Vec<_> = visitor.username.map(String::into_bytes).into_iter().collect();
                let said: Vec<_> = said.into_iter().chain(visitor.password).collect();
                assert_eq!(said, names[1..fields].iter().map(|n| n.as_bytes()).collect::<Vec<_>>());
                client.disconnect();
            }
        }
    }
}

/// 5.0: [MQTT-3.1.3-1];
/// 3.1.1: [MQTT-3.1.3-1].
#[test]
fn the_fields_have_their_order() {
    let door = Door::default();
    let broker = TestBroker::with_access(door.clone());
    for version in STANDARDS {
        let mut watcher = Client::connect(broker.address(), version, "watcher");
        watcher.subscribe("topic", QoS::AtMostOnce);
        let mut client = Client::open(broker.address(), version);
        let will = will(version, "topic", "message");
        client.send_bytes(&connect(
            version,
            0xC6,
            &[field("client"), will, field("user"), field("secret")],
        ));
        assert!(matches!(client.next(), Packet::ConnAck(_)));
        let visitor = door.0.lock().unwrap().pop().unwrap();
        let (username, password) = (Some("user".into()), Some(b"secret".into()));
        assert_eq!(visitor, Visitor { client_id: "client".into(), username, password });
        client.vanish();
        assert_eq!(watcher.next_message(), ("topic".into(), "message".into()));
    }
}

/// 5.0: [MQTT-3.1.3-8], [MQTT-3.1.4-2], [MQTT-3.2.2-6], [MQTT-3.2.2-7],
/// [MQTT-3.2.2-8], [MQTT-3.14.0-1], [MQTT-4.13.2-1];
/// 3.1.1: [MQTT-3.1.3-9], [MQTT-3.2.2-4], [MQTT-3.2.2-5], [MQTT-3.2.2-6].
#[test]
fn whom_a_check_refuses_is_told_a_code_that_fits_and_not_let_in() {
    let broker = TestBroker::with_access(Door::default());
    for version in STANDARDS {
        for reason in ReasonCode::ALL {
            let id = format!("refused{}", reason.code());
            let mut client = Client::open(broker.address(), version);
            client.send_bytes(&connect(version, 0x02, &[field(id)]));
            let Some(packet) = client.try_next() else {
                assert!(!may_be_told(version, reason), "{reason:?} in {version:?}");
                continue;
            };
            let Packet::ConnAck(connack) = packet else { panic!("{packet:?}") };
            assert!(connack.reason.is_error() && !connack.session_present, "{reason:?}");
            if version == V5 && reason.fits(PacketType::ConnAck) && reason.is_error() {
                assert_eq!(connack.reason, reason);
            }
            client.expect_closed();
        }
    }
    let mut client = Client::open(broker.address(), V311);
    client.send_bytes(&connect(V311, 0x02, &[field("refused133")]));
    assert_eq!(client.next_bytes(), [0x20, 2, 0, 2]);
}

/// Whether CONNACK has a code for it: MQTT 5 has one for everything.
fn may_be_told(version: ProtocolVersion, reason: ReasonCode) -> bool {
    use ReasonCode as R;
    version == V5
        || matches!(
            reason,
            R::UnsupportedProtocolVersion
                | R::ClientIdentifierNotValid
                | R::BadUserNameOrPassword
                | R::NotAuthorized
                | R::ServerUnavailable
                | R::ServerBusy
                | R::Banned
                | R::BadAuthenticationMethod
                | R::QuotaExceeded
                | R::UseAnotherServer
                | R::ServerMoved
                | R::ConnectionRateExceeded
        )
}

/// 5.0: [MQTT-3.1.4-6];
/// 3.1.1: [MQTT-3.1.4-5].
#[test]
fn nothing_is_processed_of_whom_a_check_refuses() {
    let broker = TestBroker::with_access(Door::default());
    for version in STANDARDS {
        let mut watcher = Client::connect(broker.address(), version, "watcher");
        watcher.subscribe("#", QoS::AtMostOnce);
        for id in ["refused133", "refused135"] {
            let mut client = Client::open(broker.address(), version);
            let mut bytes = connect(version, 0x02, &[field(id)]);
            bytes.extend(publish(version, 0x30, "a", 0, "not let in"));
            client.send_bytes(&bytes);
            client.expect_not_let_in(id);
        }
        watcher.expect_nothing();
        watcher.disconnect();
    }
    assert_eq!(broker.counters().received.all_messages(), 0);
}

/// 5.0: [MQTT-3.1.4-3], [MQTT-3.1.3-2];
/// 3.1.1: [MQTT-3.1.4-2], [MQTT-3.1.3-2].
#[test]
fn a_newer_connection_of_a_client_ends_the_older() {
    let broker = TestBroker::start();
    for old in VERSIONS {
        for new in VERSIONS {
            for clean_start in [true, false] {
                let mut older = Client::connect(broker.address(), old, "client");
                let mut other = Client::connect(broker.address(), old, "other");
                let connect = Connect { clean_start, ..Connect::new(new, "client") };
                let (mut newer, _) = Client::connect_with(broker.address(), connect);
                older.expect_disconnect(ReasonCode::SessionTakenOver);
                other.expect_nothing();
                newer.expect_nothing();
                newer.disconnect();
            }
        }
    }
}

/// 5.0: [MQTT-3.1.4-5], [MQTT-3.2.0-1];
/// 3.1.1: [MQTT-3.1.4-4], [MQTT-3.2.0-1].
#[test]
fn connack_goes_before_everything_else() {
    let broker = TestBroker::start();
    for version in STANDARDS {
        let name = format!("client of {version:?}");
        let connect = || resuming(version, &name);
        let mut client = Client::connect_with(broker.address(), connect()).0;
        client.subscribe("a", QoS::AtLeastOnce);
        client.disconnect();
        let mut publisher = Client::connect(broker.address(), version, "publisher");
        publisher.publish("a", "waits", QoS::AtLeastOnce);
        let mut client = Client::open(broker.address(), version);
        // What the client has said behind its CONNECT is answered behind it, too.
        client.send(Packet::Connect(Box::new(connect())));
        client.send(Packet::PingReq);
        client.send(Packet::Publish(Publish::new("a", "x")));
        let Packet::ConnAck(connack) = client.next() else { panic!("not CONNACK") };
        assert_eq!(connack.reason, ReasonCode::Success);
        let rest = [client.next(), client.next()];
        assert!(rest.iter().any(|packet| matches!(packet, Packet::Publish(_))), "{rest:?}");
        client.disconnect();
    }
}
