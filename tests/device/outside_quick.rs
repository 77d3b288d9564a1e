//! A device that is quicker than its outside broker.

use latchlight_client::Connection;
use latchlight_mqtt::{ConnAck, Packet, ProtocolVersion, PubAck, Publish, QoS, ReasonCode, SubAck};
use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::{PATIENCE, Server, command_of};

const UP: &str = "latchlight/devices/front/up";

/// A broker that has one client, the server, and does what the test says.
struct Broker(Connection);

impl Broker {
    /// Takes the server in.
    async fn of(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = Connection::from_stream(stream, ProtocolVersion::V5);
        let connect = connection.receive_within(PATIENCE).await.unwrap();
        assert!(matches!(connect, Packet::Connect(_)), "{connect:?}");
        let answer = ConnAck::new(false, ReasonCode::Success);
        connection.send(&Packet::ConnAck(Box::new(answer))).await.unwrap();
        Self(connection)
    }

    /// Serves the server until it publishes this to the device; that has no
    /// PUBACK yet.
    async fn until(&mut self, word: &str) -> Publish {
        loop {
            match self.0.receive_within(PATIENCE).await.unwrap() {
                Packet::Subscribe(subscribe) => {
                    let reasons = vec![ReasonCode::GrantedQoS1; subscribe.filters.len()];
                    let packet_id = subscribe.packet_id;
                    let answer = SubAck { packet_id, reasons, properties: Default::default() };
                    self.0.send(&Packet::SubAck(answer)).await.unwrap();
                }
                Packet::Publish(publish) if publish.payload.starts_with(word.as_bytes()) => {
                    return publish;
                }
                Packet::Publish(publish) => self.acknowledge(&publish).await,
                Packet::PingReq => self.0.send(&Packet::PingResp).await.unwrap(),
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    async fn acknowledge(&mut self, publish: &Publish) {
        assert_eq!(publish.qos, QoS::AtLeastOnce);
        let id = publish.packet_id.unwrap();
        self.0.send(&Packet::PubAck(PubAck::new(id, ReasonCode::Success))).await.unwrap();
    }

    /// The device speaks.
    async fn say(&mut self, words: &'static str) {
        self.0.send(&Packet::Publish(Publish::new(UP, words))).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_device_says_before_its_broker_has_taken_the_command_counts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mqtt = json!({ "broker": format!("mqtt://{address}") });
    let begin = json!({ "mqtt": mqtt, "commands": { "expires_in": 60 } });
    let server = tokio::task::spawn_blocking(|| Server::start_with(begin));
    let mut broker = Broker::of(&listener).await;
    let server = server.await.unwrap();
    let online = broker.until("online").await;
    broker.acknowledge(&online).await;
    for (said, outcome) in [("state locked", "confirmed"), ("state jammed", "failed")] {
        broker.say("hand_shake lock").await;
        let joined = broker.until("ok hand_shake").await;
        broker.acknowledge(&joined).await;
        // What it said before it can have heard the command is no answer.
        broker.say("state unlocked").await;
        server.device_when("front", |device| device["state"] == "unlocked").await;
        let (_, answer) = server.post("/lock?device=front&wait=0").await;
        let command = broker.until("lock ").await;
        broker.say(said).await;
        let word = &said["state ".len()..];
        server.device_when("front", |device| device["state"] == word).await;
        let (_, shown) = server.get(&format!("/api/v1/commands/{}", command_of(&answer))).await;
        assert_eq!(shown["status"], "issued", "the broker has not said that it took it");
        broker.acknowledge(&command).await;
        assert_eq!(server.ended(&command_of(&answer)).await["outcome"], outcome);
    }
}
