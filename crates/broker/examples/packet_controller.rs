//! A server whose handlers answer packets themselves, in the manner of a web
//! framework: one handler for each packet type, which returns what is sent.
//! The broker keeps connections, versions, limits and keep alives; no message is
//! routed. This one keeps values: PUBLISH sets one, SUBSCRIBE reads it, and
//! UNSUBSCRIBE forgets it.
//! `cargo run -p latchlight-broker --example packet_controller -- 127.0.0.1:1883`, and then:
//!
//! ```text
//! mosquitto_pub -i app-1 -q 1 -t colour -m blue
//! mosquitto_sub -i app-2 -t colour -C 1 -v
//! mosquitto_sub -i app-2 -U colour -t none -E
//! mosquitto_sub -i app-2 -t colour -C 1 -v
//! mosquitto_pub -i stranger -t colour -m red
//! ```
//!
//! The second asks for what the first has said; the fourth finds it forgotten,
//! and strangers are not let in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use latchlight_broker::mqtt::{
    ConnAck, Connect, Packet, PacketId, Properties, PubAck, Publish, SubAck, Subscribe, UnsubAck,
    Unsubscribe,
};
use latchlight_broker::{
    AllowAll, Broker, ClientInfo, Interceptor, Origin, QoS, ReasonCode, Steps, Verdict,
};

/// A store of values behind MQTT: PUBLISH sets one, SUBSCRIBE reads it.
#[derive(Default)]
struct Values {
    values: Mutex<BTreeMap<String, String>>,
}

impl Values {
    /// Whom it lets in, and the answer to all others.
    fn connect(&self, connect: &Connect) -> Result<(), ConnAck> {
        match connect.client_id.starts_with("app-") {
            true => Ok(()),
            false => Err(ConnAck::new(false, ReasonCode::ClientIdentifierNotValid)),
        }
    }

    fn publish(&self, publish: &Publish) -> Vec<Packet> {
        let value = String::from_utf8_lossy(&publish.payload).into_owned();
        self.values.lock().expect("no holder panics").insert(publish.topic.to_string(), value);
        let acknowledge = |id: PacketId| Packet::PubAck(PubAck::new(id, ReasonCode::Success));
        publish.packet_id.map(acknowledge).into_iter().collect()
    }

    /// SUBACK, and the value of each key that is asked for.
    fn subscribe(&self, subscribe: &Subscribe) -> Vec<Packet> {
        let values = self.values.lock().expect("no holder panics");
        let known = |key: &str| values.get(key).cloned();
        let keys = subscribe.filters.iter().map(|wanted| wanted.filter.as_str());
        let (mut reasons, mut answers) = (Vec::new(), Vec::new());
        for (key, value) in keys.map(|key| (key, known(key))) {
            reasons.push(match value {
                Some(_) => ReasonCode::Success,
                None => ReasonCode::TopicFilterInvalid,
            });
            answers.extend(value.map(|value| Packet::Publish(Publish::new(key, value))));
        }
        let (packet_id, properties) = (subscribe.packet_id, Properties::new());
        answers.insert(0, Packet::SubAck(SubAck { packet_id, reasons, properties }));
        answers
    }

    /// Forgets a key.
    fn unsubscribe(&self, unsubscribe: &Unsubscribe) -> Vec<Packet> {
        let mut values = self.values.lock().expect("no holder panics");
        let forget = |key: &str| match values.remove(key) {
            Some(_) => ReasonCode::Success,
            None => ReasonCode::NoSubscriptionExisted,
        };
        let reasons = unsubscribe.filters.iter().map(|filter| filter.as_str()).map(forget);
        vec![Packet::UnsubAck(UnsubAck {
            packet_id: unsubscribe.packet_id,
            reasons: reasons.collect(),
            properties: Properties::new(),
        })]
    }

    fn ping(&self) -> Vec<Packet> {
        vec![Packet::PingResp]
    }
}

/// The routes: which handler answers which packet.
impl Interceptor for Values {
    fn steps(&self) -> Steps {
        Steps { connect: true, read_packet: true, ..Steps::NONE }
    }

    fn connect(&self, connect: &mut Connect, _: Origin<'_>) -> Result<(), Box<ConnAck>> {
        Self::connect(self, connect).map_err(Box::new)
    }

    fn read_packet(&self, _: &Arc<ClientInfo>, packet: &mut Packet) -> Verdict {
        match packet {
            // Without a session's memory, exactly once is not to be had.
            Packet::Publish(publish) if publish.qos == QoS::ExactlyOnce => {
                Verdict::Close(ReasonCode::QoSNotSupported)
            }
            Packet::Publish(publish) => Verdict::Answer(self.publish(publish)),
            Packet::Subscribe(subscribe) => Verdict::Answer(self.subscribe(subscribe)),
            Packet::Unsubscribe(unsubscribe) => Verdict::Answer(self.unsubscribe(unsubscribe)),
            Packet::PingReq => Verdict::Answer(self.ping()),
            // The end of a connection is the broker's.
            _ => Verdict::Handle,
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let listener = std::net::TcpListener::bind(address)?;
    let builder = Broker::builder().access(AllowAll).listener(listener);
    let broker = builder.interceptor(Values::default()).serve()?;
    println!("listening on {}; Ctrl-C ends it", broker.addresses()[0]);
    tokio::signal::ctrl_c().await?;
    broker.close().await;
    Ok(())
}
