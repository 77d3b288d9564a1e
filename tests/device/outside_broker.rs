//! An outside broker packet by packet: it does what the test says.

use latchlight_client::Connection;
use latchlight_mqtt::{ConnAck, Packet, ProtocolVersion, PubAck, Publish, QoS, ReasonCode, SubAck};
use tokio::net::TcpListener;

use crate::harness::PATIENCE;

/// A broker that has one client, the server, and does what the test says.
pub(crate) struct Broker(pub(crate) Connection);

impl Broker {
    /// Takes the server in.
    pub(crate) async fn of(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = Connection::from_stream(stream, ProtocolVersion::V5);
        let connect = connection.receive_within(PATIENCE).await.unwrap();
        assert!(matches!(connect, Packet::Connect(_)), "{connect:?}");
        let answer = ConnAck::new(false, ReasonCode::Success);
        connection.send(&Packet::ConnAck(Box::new(answer))).await.unwrap();
        Self(connection)
    }

    /// The device `front` joins, in the hands of this broker.
    pub(crate) async fn hand_shake(&mut self) {
        self.say("hand_shake lock").await;
        let joined = self.until("ok hand_shake").await;
        self.acknowledge(&joined).await;
    }

    /// Serves the server until it publishes this to the device; that has no
    /// PUBACK yet.
    pub(crate) async fn until(&mut self, word: &str) -> Publish {
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

    pub(crate) async fn acknowledge(&mut self, publish: &Publish) {
        assert_eq!(publish.qos, QoS::AtLeastOnce);
        let id = publish.packet_id.unwrap();
        self.0.send(&Packet::PubAck(PubAck::new(id, ReasonCode::Success))).await.unwrap();
    }

    /// The device `front` speaks.
    pub(crate) async fn say(&mut self, words: &'static str) {
        self.0
            .send(&Packet::Publish(Publish::new("latchlight/devices/front/up", words)))
            .await
            .unwrap();
    }
}
