//! MQTT 3.1, whose statements have no numbers: where it differs from 3.1.1.

use std::sync::Arc;

use async_trait::async_trait;
use latchlight_broker::{Access, ConnectRequest};
use latchlight_mqtt::{Packet, ProtocolVersion, QoS, ReasonCode};

use crate::bytes::{connect, field, packet, publish, subscribe, unsubscribe};
use crate::support::{Client, TestBroker, VERSIONS, resuming};
use ProtocolVersion::{V5, V31, V311};
use QoS::{AtLeastOnce, ExactlyOnce};

/// 3.1, 3.1 and 3.2: another protocol name and level, and a CONNACK that says
/// nothing of a session.
#[test]
fn it_connects_by_its_own_name_and_is_told_of_no_session() {
    let broker = TestBroker::start();
    let mut client = Client::open(broker.address(), V31);
    client.send_bytes(b"\x10\x14\x00\x06MQIsdp\x03\x00\x00\x3C\x00\x06client");
    assert_eq!(client.next_bytes(), [0x20, 2, 0, 0]);
    client.send_bytes(&subscribe(V31, 1, "a", 1));
    assert_eq!(client.next_bytes(), [0x90, 3, 0, 1, 1]);
    client.disconnect();
    Client::connect(broker.address(), V5, "publisher").publish("a", "waits", AtLeastOnce);
    // The session goes on all the same.
    let mut client = Client::open(broker.address(), V31);
    client.send(Packet::Connect(Box::new(resuming(V31, "client"))));
    assert_eq!(client.next_bytes(), [0x20, 2, 0, 0]);
    assert_eq!(client.next_message().1, "waits");
    // A bit that has no meaning there yet.
    let mut client = Client::open(broker.address(), V31);
    client.send_bytes(&connect(V31, 0x03, &[field("client")]));
    assert_eq!(client.next_bytes(), [0x20, 2, 0, 0]);
}

/// 3.1, 2.1 and 4.2: DUP also stands in PUBREL, SUBSCRIBE and UNSUBSCRIBE that
/// are sent again; and the upper bits of a requested QoS are not used.
#[test]
fn its_packets_may_be_sent_again_with_dup() {
    let broker = TestBroker::start();
    let mut client = Client::connect(broker.address(), V31, "client");
    let again = |mut bytes: Vec<u8>| {
        bytes[0] |= 0x08;
        bytes
    };
    let mut ask = |said: Vec<u8>, answer: &[u8]| {
        client.send_bytes(&said);
        assert_eq!(client.next_bytes(), answer, "to {said:x?}");
    };
    for _ in 0..2 {
        ask(again(subscribe(V31, 1, "other", 2)), &[0x90, 3, 0, 1, 2]);
        ask(subscribe(V31, 1, "other", 0xFC | 1), &[0x90, 3, 0, 1, 1]);
        ask(again(unsubscribe(V31, 2, "other")), &[0xB0, 2, 0, 2]);
        ask(again(publish(V31, 0x34, "a", 3, "x")), &[0x50, 2, 0, 3]);
        ask(again(packet(0x62, &[0, 3])), &[0x70, 2, 0, 3]);
        ask(again(packet(0x62, &[0, 3])), &[0x70, 2, 0, 3]);
    }
    for version in [V311, V5] {
        let mut client = Client::connect(broker.address(), version, "client");
        client.send_bytes(&again(packet(0x62, &[0, 3])));
        client.expect_cut(version, &[ReasonCode::MalformedPacket], "PUBREL with DUP");
    }
}

/// Refuses by the client id.
struct Refusing;

#[async_trait]
impl Access for Refusing {
    async fn authenticate(&self, request: &ConnectRequest<'_>) -> Result<Arc<str>, ReasonCode> {
        Err(match request.client_id {
            "id" => ReasonCode::ClientIdentifierNotValid,
            "busy" => ReasonCode::ServerBusy,
            "password" => ReasonCode::BadUserNameOrPassword,
            _ => ReasonCode::NotAuthorized,
        })
    }
}

/// 3.1, 3.2: the five return codes.
#[test]
fn its_refusals_have_return_codes() {
    let broker = TestBroker::with_access(Refusing);
    for (id, code) in [("id", 2), ("busy", 3), ("password", 4), ("other", 5), ("", 2)] {
        let mut client = Client::open(broker.address(), V31);
        client.send_bytes(&connect(V31, 0x02, &[field(id)]));
        assert_eq!(client.next_bytes(), [0x20, 2, 0, code], "{id}");
        client.expect_closed();
    }
    let mut client = Client::open(broker.address(), V31);
    client.send_bytes(b"\x10\x14\x00\x06MQIsdp\x02\x02\x00\x3C\x00\x06client");
    assert_eq!(client.next_bytes(), [0x20, 2, 0, 1]);
    client.expect_closed();
}

/// A session made in one version goes on in another: what is the same in all of
/// them stays, the options of MQTT 5 count for as long as the subscription.
#[test]
fn a_session_goes_on_in_every_other_version() {
    let broker = TestBroker::start();
    let mut publisher = Client::connect(broker.address(), V5, "publisher");
    for first in VERSIONS {
        for then in VERSIONS {
            let mut client = Client::connect_with(broker.address(), resuming(first, "client")).0;
            client.subscribe("a", ExactlyOnce);
            publisher.publish("a", "open", ExactlyOnce);
            let open = client.next_publish();
            client.vanish();
            broker.until("it is gone", |broker| broker.counters().connections == 1);
            publisher.publish("a", "waits", AtLeastOnce);
            let mut client = Client::connect_with(broker.address(), resuming(then, "client")).0;
            let again = client.next_publish();
            assert_eq!((again.packet_id, again.dup), (open.packet_id, true));
            let waited = client.next_publish();
            assert_eq!(waited.payload, "waits");
            client.puback(waited.packet_id.unwrap());
            client.acknowledge(&again);
            publisher.publish("a", "now", ExactlyOnce);
            assert_eq!(client.next_message().1, "now");
            drop(client);
            Client::connect(broker.address(), V5, "client").disconnect();
        }
    }
}
