//! An observer that writes down what is lost.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use latchlight_broker::{ClientInfo, DropReason, Interests, Observer, Publication};
use latchlight_mqtt::PacketId;

use super::TestBroker;

/// Writes down what is dropped, and how exchanges begin and end.
#[derive(Clone, Default)]
pub struct Losses {
    dropped: Arc<Mutex<Vec<(String, String, DropReason)>>>,
    exchanges: Arc<Mutex<Vec<(PacketId, &'static str)>>>,
}

impl Losses {
    pub fn take(&self) -> Vec<(String, String, DropReason)> {
        std::mem::take(&mut *self.dropped.lock().unwrap())
    }

    /// All that was dropped since this was asked last is one message.
    pub fn expect(&self, receiver: &str, payload: &str, reason: DropReason) {
        assert_eq!(self.take(), [(receiver.to_owned(), payload.to_owned(), reason)]);
    }

    /// The same where it comes by itself.
    pub fn wait_for(&self, broker: &TestBroker, receiver: &str, payload: &str, reason: DropReason) {
        broker.until("it is told of", |_| !self.dropped.lock().unwrap().is_empty());
        self.expect(receiver, payload, reason);
    }

    pub fn exchanges(&self) -> Vec<(PacketId, &'static str)> {
        self.exchanges.lock().unwrap().clone()
    }
}

impl Observer for Losses {
    fn interests(&self) -> Interests {
        Interests { messages: true, exchanges: true, packets: false }
    }

    fn publish_dropped(
        &self,
        receiver: Option<&Arc<ClientInfo>>,
        message: &Publication,
        reason: DropReason,
    ) {
        let receiver = receiver.map_or("nobody", |client| &client.client_id).to_owned();
        let payload = String::from_utf8_lossy(&message.payload).into_owned();
        self.dropped.lock().unwrap().push((receiver, payload, reason));
    }

    fn qos_published(&self, _: &Arc<ClientInfo>, id: PacketId, _: &Publication, _: bool) {
        self.exchanges.lock().unwrap().push((id, "sent"));
    }

    fn qos_dropped(&self, _: &Arc<ClientInfo>, id: PacketId) {
        self.exchanges.lock().unwrap().push((id, "dropped"));
    }
}
