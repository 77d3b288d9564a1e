//! Somebody who listens to the gateway's messages.

use latchlight_client::Connection;
use latchlight_mqtt::{
    Connect, Packet, PacketId, ProtocolVersion, Publish, QoS, Subscribe, SubscribeFilter,
    SubscriptionOptions,
};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Server};

/// Settings by which everybody may say and hear everything outside the prefix.
pub(crate) fn open_house() -> Value {
    json!({ "mqtt": { "ledger": concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/open.yaml") } })
}

pub(crate) struct Reader(Connection);

impl Reader {
    /// Listens at QoS 2, and is subscribed when this returns.
    pub(crate) async fn of(server: &Server, filter: &str) -> Self {
        let connect = Connect::new(ProtocolVersion::V5, "reader");
        let (mut connection, _) =
            Connection::connect(&server.mqtt.to_string(), connect).await.unwrap();
        connection.set_auto_acknowledge(true);
        let options = SubscriptionOptions::qos(QoS::ExactlyOnce);
        let filter = SubscribeFilter { filter: filter.try_into().unwrap(), options };
        let packet_id = PacketId::MIN;
        let subscribe =
            Subscribe { packet_id, filters: vec![filter], properties: Default::default() };
        connection.send(&Packet::Subscribe(subscribe)).await.unwrap();
        loop {
            if let Packet::SubAck(_) = connection.receive_within(PATIENCE).await.unwrap() {
                return Self(connection);
            }
        }
    }

    /// The next message.
    pub(crate) async fn hears(&mut self) -> Publish {
        loop {
            let packet = self.0.receive_within(PATIENCE).await.unwrap();
            if let Packet::Publish(publish) = packet {
                return publish;
            }
        }
    }
}

/// The id that a message has with it.
pub(crate) fn id_of(publish: &Publish) -> String {
    let id = publish.properties.user_properties.iter().find(|(name, _)| &**name == "message-id");
    id.expect("a message-id").1.to_string()
}
