//! Reason String and User Properties beside a reason code (MQTT 5.0, 3.1.2.11.7
//! and 3.x.2.2): who wants them, and who has room for them. The broker itself
//! sends few; hooks add them.

use std::sync::Arc;

use latchlight_broker::{ClientInfo, Interceptor, Origin, Steps, Verdict};
use latchlight_mqtt::{
    ConnAck, Connect, Packet, PacketType, Properties, ProtocolVersion, QoS, ReasonCode,
};

use crate::authentication::{Ask, auth, with};
use crate::bytes::{packet, publish, subscribe, unsubscribe};
use crate::support::{Client, TestBroker};
use PacketType::{Auth, Disconnect, PubAck, PubComp, PubRec, PubRel, SubAck, UnsubAck};
use ProtocolVersion::V5;
use ReasonCode::{ContinueAuthentication, NotAuthorized, ReAuthenticate};

/// 25 and 68 bytes in a packet.
const REASON: &str = "twenty-two bytes of it";
const USER: (&str, &str) = ("why", "sixty bytes of a user property, which is more than it needs.");

/// Which of both a packet has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Both,
    Reason,
    Nothing,
}

/// Adds both to everything that has a reason.
struct Talkative;

impl Interceptor for Talkative {
    fn steps(&self) -> Steps {
        Steps { connect: true, encode_packet: true, ..Steps::NONE }
    }

    fn connect(&self, connect: &mut Connect, _: Origin<'_>) -> Result<(), Box<ConnAck>> {
        let mut refusal = ConnAck::new(false, NotAuthorized);
        add(&mut refusal.properties);
        if connect.client_id == "refused" { Err(Box::new(refusal)) } else { Ok(()) }
    }

    fn encode_packet(&self, _: &Arc<ClientInfo>, packet: &mut Packet) {
        if let Some(properties) = properties(packet) {
            add(properties);
        }
    }
}

fn add(properties: &mut Properties) {
    let values = properties.make_mut();
    values.reason_string = Some(REASON.into());
    values.user_properties.push((USER.0.into(), USER.1.into()));
}

fn properties(packet: &mut Packet) -> Option<&mut Properties> {
    match packet {
        Packet::ConnAck(packet) => Some(&mut packet.properties),
        Packet::PubAck(packet) => Some(&mut packet.properties),
        Packet::PubRec(packet) => Some(&mut packet.properties),
        Packet::PubRel(packet) => Some(&mut packet.properties),
        Packet::PubComp(packet) => Some(&mut packet.properties),
        Packet::SubAck(packet) => Some(&mut packet.properties),
        Packet::UnsubAck(packet) => Some(&mut packet.properties),
        Packet::Disconnect(packet) => Some(&mut packet.properties),
        Packet::Auth(packet) => Some(&mut packet.properties),
        _ => None,
    }
}

fn connect(client_id: &str, wants: Option<bool>, most: Option<u32>) -> Connect {
    let mut connect = Connect { properties: with("ask", "yes"), ..Connect::new(V5, client_id) };
    let values = connect.properties.make_mut();
    values.request_problem_information = wants;
    values.maximum_packet_size = most;
    connect
}

/// The next packet is one of that type, and says so much.
fn expect(client: &mut Client, of_type: PacketType, said: Said) -> Packet {
    let mut packet = client.next();
    assert_eq!(packet.packet_type(), of_type);
    let properties = properties(&mut packet).unwrap();
    let found = match (properties.reason_string.as_deref(), &properties.user_properties[..]) {
        (Some(REASON), [(name, value)]) if (&**name, &**value) == USER => Said::Both,
        (Some(REASON), []) => Said::Reason,
        (None, []) => Said::Nothing,
        other => panic!("{of_type:?}: {other:?}"),
    };
    assert_eq!(found, said, "{of_type:?}");
    packet
}

/// 5.0: [MQTT-3.1.2-29], [MQTT-3.2.2-19], [MQTT-3.2.2-20], [MQTT-3.4.2-2],
/// [MQTT-3.4.2-3], [MQTT-3.5.2-2], [MQTT-3.5.2-3], [MQTT-3.6.2-2],
/// [MQTT-3.6.2-3], [MQTT-3.7.2-2], [MQTT-3.7.2-3], [MQTT-3.9.2-1],
/// [MQTT-3.9.2-2], [MQTT-3.11.2-1], [MQTT-3.11.2-2], [MQTT-3.14.2-3],
/// [MQTT-3.14.2-4], [MQTT-3.15.2-2], [MQTT-3.15.2-3].
#[test]
fn reasons_in_words_come_to_who_wants_them_and_has_room() {
    use Said::{Both, Nothing, Reason};
    let broker = TestBroker::build(|builder| builder.access(Ask).interceptor(Talkative));
    let mut other = Client::connect(broker.address(), V5, "other");
    for (wants, most, said, at_the_ends) in [
        (None, None, Both, Both),
        (Some(true), Some(1000), Both, Both),
        (None, Some(60), Reason, Reason),
        (Some(true), Some(28), Nothing, Nothing),
        (Some(false), None, Nothing, Both),
        (Some(false), Some(60), Nothing, Reason),
    ] {
        let mut client = Client::open(broker.address(), V5);
        client.send(Packet::Connect(Box::new(connect("refused", wants, most))));
        expect(&mut client, PacketType::ConnAck, at_the_ends);
        client.expect_closed();

        let mut client = Client::open(broker.address(), V5);
        client.send(Packet::Connect(Box::new(connect("client", wants, most))));
        expect(&mut client, PacketType::ConnAck, at_the_ends);
        client.send_bytes(&subscribe(V5, 1, "a", 2));
        expect(&mut client, SubAck, said);
        client.send_bytes(&publish(V5, 0x32, "b", 1, ""));
        expect(&mut client, PubAck, said);
        client.send_bytes(&publish(V5, 0x34, "b", 2, ""));
        expect(&mut client, PubRec, said);
        client.send_bytes(&packet(0x62, &[0, 2]));
        expect(&mut client, PubComp, said);
        other.publish("a", "x", QoS::ExactlyOnce);
        let id = client.next_publish().packet_id.unwrap();
        client.pubrec(id);
        expect(&mut client, PubRel, said);
        client.pubcomp(id);
        client.send_bytes(&unsubscribe(V5, 3, "a"));
        expect(&mut client, UnsubAck, said);
        client.send(auth(ReAuthenticate, "ask", "hello"));
        expect(&mut client, Auth, said);
        client.send(auth(ContinueAuthentication, "ask", "yes"));
        expect(&mut client, Auth, said);
        client.send_bytes(&packet(0xC0, &[0]));
        expect(&mut client, Disconnect, at_the_ends);
        client.expect_closed();
    }
}

/// Answers SUBSCRIBE and UNSUBSCRIBE in the broker's place, with many words.
struct InItsPlace;

impl Interceptor for InItsPlace {
    fn steps(&self) -> Steps {
        Steps { read_packet: true, ..Steps::NONE }
    }

    fn read_packet(&self, _: &Arc<ClientInfo>, packet: &mut Packet) -> Verdict {
        let answer = match packet {
            Packet::Subscribe(asked) => {
                let mut answer = latchlight_mqtt::SubAck {
                    packet_id: asked.packet_id,
                    reasons: vec![NotAuthorized],
                    properties: Properties::new(),
                };
                add(&mut answer.properties);
                Packet::SubAck(answer)
            }
            Packet::Unsubscribe(_) => {
                let mut answer = latchlight_mqtt::Disconnect::new(NotAuthorized);
                add(&mut answer.properties);
                Packet::Disconnect(answer)
            }
            _ => return Verdict::Handle,
        };
        Verdict::Answer(vec![answer])
    }
}

/// 5.0: [MQTT-3.1.2-29], [MQTT-3.9.2-1], [MQTT-3.9.2-2], [MQTT-3.14.2-3],
/// [MQTT-3.14.2-4].
#[test]
fn so_do_the_words_of_who_answers_in_the_brokers_place() {
    use Said::{Both, Nothing, Reason};
    let broker = TestBroker::build(|builder| builder.access(Ask).interceptor(InItsPlace));
    for (wants, most, said, at_the_end) in [
        (None, None, Both, Both),
        (None, Some(60), Reason, Reason),
        (None, Some(28), Nothing, Nothing),
        (Some(false), None, Nothing, Both),
    ] {
        let mut client = Client::connect_with(broker.address(), connect("client", wants, most)).0;
        client.send_bytes(&subscribe(V5, 1, "a", 2));
        expect(&mut client, SubAck, said);
        client.send_bytes(&unsubscribe(V5, 1, "a"));
        expect(&mut client, Disconnect, at_the_end);
        client.expect_closed();
    }
}
