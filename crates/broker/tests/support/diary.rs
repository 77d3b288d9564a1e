//! An observer that writes down everything.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use latchlight_broker::{
    AllowAll, ClientInfo, CountersSnapshot, DenyAll, DropReason, InlinePublish, Interests,
    Observer, Options, Publication, WhenOfflineFull,
};
use latchlight_mqtt::ProtocolVersion::{V5, V311};
use latchlight_mqtt::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
use latchlight_mqtt::{
    Connect, Packet, PacketId, Properties, PubAck, Publish, QoS, ReasonCode, Will,
};

use super::TestBroker;

/// Writes down everything that it asked for.
#[derive(Clone)]
pub struct Diary {
    lines: Arc<Mutex<Vec<String>>>,
    interests: Interests,
}

impl Diary {
    pub fn of(interests: Interests) -> Self {
        Self { lines: Arc::default(), interests }
    }

    fn write(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn holds(&self, line: &str) -> bool {
        self.lines.lock().unwrap().iter().any(|known| known == line)
    }

    /// The lines until the one that is waited for, which may not be there yet.
    pub fn until(&self, broker: &TestBroker, line: &str) -> Vec<String> {
        broker.until(line, |_| self.holds(line));
        self.lines()
    }
}

fn who(client: Option<&Arc<ClientInfo>>) -> &str {
    client.map_or("nobody", |client| &client.client_id)
}

fn text(message: &Publication) -> String {
    let payload = String::from_utf8_lossy(&message.payload);
    format!("{}={payload}", message.topic)
}

impl Observer for Diary {
    fn interests(&self) -> Interests {
        self.interests
    }

    fn started(&self) {
        self.write("started".to_owned());
    }

    fn stopped(&self) {
        self.write("stopped".to_owned());
    }

    fn system_tick(&self, counters: &CountersSnapshot) {
        // Once is enough for a diary.
        if !self.holds("tick") && counters.sessions == 0 {
            self.write("tick".to_owned());
        }
    }

    fn connected(&self, client: &Arc<ClientInfo>) {
        self.write(format!("{} connected", client.client_id));
    }

    fn session_established(&self, client: &Arc<ClientInfo>, present: bool) {
        self.write(format!("{} has its session, present {present}", client.client_id));
    }

    fn connect_refused(&self, client: &Arc<ClientInfo>, reason: ReasonCode) {
        self.write(format!("{} refused: {reason:?}", client.client_id));
    }

    fn disconnected(&self, client: &Arc<ClientInfo>, reason: ReasonCode, ended: bool) {
        self.write(format!("{} gone: {reason:?}, ended {ended}", client.client_id));
    }

    fn packet_read(&self, client: &Arc<ClientInfo>, packet: &Packet) {
        if let Packet::Connect(connect) = packet {
            assert!(connect.password.is_none());
        }
        self.write(format!("{} read {:?}", client.client_id, packet.packet_type()));
    }

    fn packet_sent(&self, client: &Arc<ClientInfo>, packet: &Packet) {
        self.write(format!("{} sent {:?}", client.client_id, packet.packet_type()));
    }

    fn packet_processed(
        &self,
        client: &Arc<ClientInfo>,
        packet: &Packet,
        outcome: Result<(), ReasonCode>,
    ) {
        let packet = packet.packet_type();
        self.write(format!("{} processed {packet:?}: {outcome:?}", client.client_id));
    }

    fn subscribed(&self, client: &Arc<ClientInfo>, filter: &str, qos: QoS) {
        self.write(format!("{} subscribed {filter} {qos:?}", client.client_id));
    }

    fn unsubscribed(&self, client: &Arc<ClientInfo>, filter: &str) {
        self.write(format!("{} unsubscribed {filter}", client.client_id));
    }

    fn published(&self, publisher: Option<&Arc<ClientInfo>>, message: &Publication) {
        self.write(format!("{} published {}", who(publisher), text(message)));
    }

    fn publish_dropped(
        &self,
        receiver: Option<&Arc<ClientInfo>>,
        message: &Publication,
        reason: DropReason,
    ) {
        self.write(format!("{} dropped {}: {reason:?}", who(receiver), text(message)));
    }

    fn retained(&self, publisher: Option<&Arc<ClientInfo>>, message: &Publication) {
        self.write(format!("{} retained {}", who(publisher), text(message)));
    }

    fn retain_published(&self, client: &Arc<ClientInfo>, message: &Publication) {
        self.write(format!("{} gets retained {}", client.client_id, text(message)));
    }

    fn qos_published(
        &self,
        client: &Arc<ClientInfo>,
        id: PacketId,
        message: &Publication,
        resent: bool,
    ) {
        let (client, text) = (&client.client_id, text(message));
        self.write(format!("{client} qos {} {text}, resent {resent}", id.get()));
    }

    fn qos_completed(&self, client: &Arc<ClientInfo>, id: PacketId) {
        self.write(format!("{} qos {} completed", client.client_id, id.get()));
    }

    fn qos_dropped(&self, client: &Arc<ClientInfo>, id: PacketId) {
        self.write(format!("{} qos {} dropped", client.client_id, id.get()));
    }

    fn packet_ids_exhausted(&self, client: &Arc<ClientInfo>, message: &Publication) {
        self.write(format!("{} exhausted by {}", client.client_id, text(message)));
    }

    fn will_sent(&self, client: &Arc<ClientInfo>, message: &Publication) {
        self.write(format!("{} will {}", client.client_id, text(message)));
    }

    fn client_expired(&self, client: &Arc<ClientInfo>) {
        self.write(format!("{} expired", client.client_id));
    }

    fn retained_expired(&self, topic: &str) {
        self.write(format!("{topic} expired"));
    }
}
