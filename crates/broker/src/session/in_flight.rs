//! Messages of QoS 1 and 2 that a client has not finished taking.

use std::sync::Arc;

use latchlight_mqtt::{PacketId, QoS};
use rustc_hash::FxHashMap;

use crate::live::Ticket;
use crate::message::Message;

/// What is open towards a client, by packet id.
#[derive(Debug)]
pub(crate) struct InFlight {
    open: FxHashMap<PacketId, Open>,
    /// Counts what was sent, so that it is sent again in the same order.
    sequence: u64,
    last_id: PacketId,
}

/// One open message.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) sequence: u64,
    pub(crate) awaits: Awaits,
    /// Kept only where the session may outlive its connection.
    pub(crate) message: Option<Kept>,
    /// A live publish: never sent again.
    pub(crate) live: Option<Arc<Ticket>>,
}

/// What is needed to send a message again.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) message: Arc<Message>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) identifiers: Box<[u32]>,
}

/// The packet that goes on with an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "the names of the packets")]
pub(crate) enum Awaits {
    PubAck,
    PubRec,
    PubComp,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { open: FxHashMap::default(), sequence: 0, last_id: PacketId::MIN }
    }
}

impl InFlight {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Opens an exchange with a packet id that is free.
    pub(crate) fn open(
        &mut self,
        qos: QoS,
        message: Option<Kept>,
        live: Option<Arc<Ticket>>,
    ) -> PacketId {
        // Fewer than 65,535 are ever open, so that one is free [MQTT-2.2.1-4].
        while self.open.contains_key(&self.last_id) {
            self.last_id = self.last_id.next();
        }
        let id = self.last_id;
        self.last_id = id.next();
        self.sequence += 1;
        let awaits = if qos == QoS::ExactlyOnce { Awaits::PubRec } else { Awaits::PubAck };
        self.open.insert(id, Open { sequence: self.sequence, awaits, message, live });
        id
    }

    pub(crate) fn get_mut(&mut self, id: PacketId) -> Option<&mut Open> {
        self.open.get_mut(&id)
    }

    pub(crate) fn close(&mut self, id: PacketId) -> Option<Open> {
        let open = self.open.remove(&id);
        if self.open.is_empty() && self.open.capacity() > 64 {
            self.open = FxHashMap::default();
        }
        open
    }

    /// Takes out what must not be sent again: the tickets of live publishes.
    pub(crate) fn take_live(&mut self) -> Vec<Arc<Ticket>> {
        let live = self.open.extract_if(|_, open| open.live.is_some());
        live.filter_map(|(_, open)| open.live).collect()
    }

    /// What is to be sent again, in the order in which it was sent first
    /// [MQTT-4.4.0-1], [MQTT-4.6.0-1].
    pub(crate) fn again(&self) -> Vec<(PacketId, Awaits, Option<Kept>)> {
        let mut open: Vec<_> = self.open.iter().collect();
        open.sort_unstable_by_key(|(_, open)| open.sequence);
        open.into_iter().map(|(id, open)| (*id, open.awaits, open.message.clone())).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.open = FxHashMap::default();
    }
}
