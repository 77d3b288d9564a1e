//! Every packet cut at every byte and with every byte changed, against a
//! broker that serves others meanwhile (C12).
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use latchlight_broker::Options;
use latchlight_mqtt::testing::{NamedPacket, packets};
use latchlight_mqtt::{Connect, Packet, PacketType, ProtocolVersion, QoS, ReasonCode};
use support::{Client, TestBroker, VERSIONS};

use ProtocolVersion::V5;

/// Rows of more bytes than this are broken at some of their bytes only.
const ALL_BYTES: usize = 200;

#[test]
fn the_packets_of_the_table_harm_nobody() {
    let broker = broker();
    let mut bystander = Bystander::new(&broker);
    for row in packets() {
        for version in row.versions {
            attack(&broker, *version, &row, &row.bytes);
        }
        bystander.is_served(row.name);
    }
    bystander.is_whole(&broker);
}

#[test]
fn cut_packets_harm_nobody() {
    let broker = broker();
    let mut bystander = Bystander::new(&broker);
    for row in packets() {
        for version in row.versions {
            for end in places(&row) {
                attack(&broker, *version, &row, &row.bytes[..end]);
            }
        }
        bystander.is_served(row.name);
    }
    bystander.is_whole(&broker);
}

#[test]
fn changed_packets_harm_nobody() {
    let broker = broker();
    let mut bystander = Bystander::new(&broker);
    for row in packets() {
        for version in row.versions {
            for at in places(&row) {
                let byte = row.bytes[at];
                for new in [byte ^ 0x01, byte ^ 0x80, byte.wrapping_sub(1), 0xFF] {
                    let mut changed = row.bytes.clone();
                    changed[at] = new;
                    attack(&broker, *version, &row, &changed);
                }
            }
        }
        bystander.is_served(row.name);
    }
    bystander.is_whole(&broker);
}

#[test]
fn whole_packets_that_are_not_the_clients_to_send_end_its_connection() {
    let broker = broker();
    let mut bystander = Bystander::new(&broker);
    let servers = [
        PacketType::ConnAck,
        PacketType::SubAck,
        PacketType::UnsubAck,
        PacketType::PingResp,
        PacketType::Auth,
    ];
    for version in VERSIONS {
        for first in servers {
            let mut client = Client::connect(broker.address(), version, "attacker");
            client.send_bytes(&[(first as u8) << 4, 0]);
            client.expect_disconnect(ReasonCode::ProtocolError);
        }
        bystander.is_served("a packet of the server");
    }
}

#[test]
fn bytes_of_no_protocol_harm_nobody() {
    let broker = broker();
    let mut bystander = Bystander::new(&broker);
    for bytes in [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], &[0; 100], &[0xFF; 100]] {
        let mut client = Client::open(broker.address(), V5);
        client.try_send_bytes(bytes);
        client.expect_closed();
        bystander.is_served("no protocol");
    }
}

/// Where a row is broken: everywhere, or in a long one here and there.
fn places(row: &NamedPacket) -> impl Iterator<Item = usize> + use<> {
    (0..row.bytes.len()).step_by(row.bytes.len() / ALL_BYTES + 1)
}

fn broker() -> TestBroker {
    TestBroker::with_options(Options {
        connect_timeout: Duration::from_secs(5),
        // A changed CONNECT may ask for a session that stays.
        max_session_expiry: Duration::from_millis(1),
        ..Options::default()
    })
}

/// Sends the bytes: as the first ones where they are a CONNECT, else after
/// one; then ends, and waits until the broker has closed.
fn attack(broker: &TestBroker, version: ProtocolVersion, row: &NamedPacket, bytes: &[u8]) {
    let mut client = Client::open(broker.address(), version);
    let mut all = Vec::new();
    if row.bytes.first().is_some_and(|first| first >> 4 != PacketType::Connect as u8) {
        let connect = Packet::Connect(Box::new(Connect::new(version, "attacker")));
        connect.encode(version, &mut all).unwrap();
    }
    all.extend_from_slice(bytes);
    client.try_send_bytes(&all);
    client.finish_sending_if_open();
    client.read_to_end();
}

/// Another client, whom none of it may touch.
struct Bystander {
    client: Client,
    served: u32,
}

impl Bystander {
    fn new(broker: &TestBroker) -> Self {
        let mut client = Client::connect(broker.address(), V5, "bystander");
        client.subscribe("bystander", QoS::ExactlyOnce);
        Self { client, served: 0 }
    }

    fn is_served(&mut self, after: &str) {
        self.served += 1;
        let payload = self.served.to_string();
        self.client
            .send(Packet::Publish(latchlight_mqtt::Publish::new("bystander", payload.clone())));
        assert_eq!(self.client.next_message(), ("bystander".into(), payload), "after {after}");
    }

    fn is_whole(&mut self, broker: &TestBroker) {
        self.client.expect_nothing();
        // Nothing of the others is left behind.
        broker.until("the others are gone", |broker| {
            let counters = broker.counters();
            counters.connections == 1 && counters.sessions == 1 && counters.subscriptions == 1
        });
    }
}
