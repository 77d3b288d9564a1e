//! Every packet cut at every byte and with every byte changed, against a
//! broker that serves others meanwhile (C12).
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use latchlight_broker::Options;
use latchlight_mqtt::{Packet, ProtocolVersion, QoS};
use support::packets::packets;
use support::{Client, TestBroker, VERSIONS};

use ProtocolVersion::V5;

/// What a byte is changed into: its neighbours, its bits, the extremes.
fn mutations(byte: u8) -> impl Iterator<Item = u8> {
    let changed = [byte ^ 0x01, byte ^ 0x80, byte ^ 0x10, byte.wrapping_sub(1), 0x00, 0x7F, 0xFF];
    changed.into_iter().filter(move |new| *new != byte)
}

#[test]
fn cut_packets_harm_nobody() {
    let broker = broker();
    let mut bystander = Bystander::new(&broker);
    for version in VERSIONS {
        for (name, bytes) in packets(version) {
            for end in 0..bytes.len() {
                attack(&broker, version, name, &bytes[..end]);
            }
            bystander.is_served(name);
        }
    }
    bystander.is_whole(&broker);
}

#[test]
fn changed_packets_harm_nobody() {
    let broker = broker();
    let mut bystander = Bystander::new(&broker);
    for version in VERSIONS {
        for (name, bytes) in packets(version) {
            for at in 0..bytes.len() {
                for byte in mutations(bytes[at]) {
                    let mut changed = bytes.clone();
                    changed[at] = byte;
                    attack(&broker, version, name, &changed);
                }
            }
            bystander.is_served(name);
        }
    }
    bystander.is_whole(&broker);
}

#[test]
fn whole_packets_that_are_not_the_clients_to_send_end_its_connection() {
    let broker = broker();
    let mut bystander = Bystander::new(&broker);
    let servers = ["CONNACK", "SUBACK", "UNSUBACK", "PINGRESP", "AUTH"];
    for version in VERSIONS {
        for (name, bytes) in packets(version) {
            if servers.contains(&name) {
                let mut client = Client::connect(broker.address(), version, "hostile");
                client.send_bytes(&bytes);
                client.expect_disconnect(latchlight_mqtt::ReasonCode::ProtocolError);
                bystander.is_served(name);
            }
        }
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

fn broker() -> TestBroker {
    TestBroker::with_options(Options {
        connect_timeout: Duration::from_secs(5),
        // A changed CONNECT may ask for a session that stays.
        max_session_expiry: Duration::from_millis(1),
        ..Options::default()
    })
}

/// Sends the bytes: as the first ones where they are a CONNECT, else after
/// one; then ends, and waits until the broker has read them all.
fn attack(broker: &TestBroker, version: ProtocolVersion, name: &str, bytes: &[u8]) {
    let mut client = match name {
        "CONNECT" => Client::open(broker.address(), version),
        _ => Client::connect(broker.address(), version, "attacker"),
    };
    client.try_send_bytes(bytes);
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
