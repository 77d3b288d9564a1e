//! What a session tells the observers of its own: nothing, where none of them
//! wants to know.

use std::sync::Arc;

use latchlight_mqtt::{Packet, PacketId};

use super::{Hooks, Notice};
use crate::message::Message;
use crate::{ClientInfo, DropReason};

/// Notes what becomes of a session's messages; empty where nobody asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tells(Option<Arc<Teller>>);

#[derive(Debug)]
struct Teller {
    hooks: Arc<Hooks>,
    client: Arc<ClientInfo>,
}

impl Tells {
    pub(super) fn new(hooks: &Arc<Hooks>, client: &Arc<ClientInfo>) -> Self {
        let wants = hooks.wants;
        let asked = wants.packets || wants.messages || wants.exchanges;
        let make = || Arc::new(Teller { hooks: hooks.clone(), client: client.clone() });
        Self(asked.then(make))
    }

    /// Whether packets that are sent are told of.
    pub(crate) fn of_packets(&self) -> bool {
        self.0.as_ref().is_some_and(|teller| teller.hooks.wants.packets)
    }

    /// Whether exchanges are told of.
    pub(crate) fn of_exchanges(&self) -> bool {
        self.0.as_ref().is_some_and(|teller| teller.hooks.wants.exchanges)
    }

    pub(crate) fn packet_sent(&self, packet: Packet) {
        if let Some(teller) = &self.0 {
            teller.note(Notice::PacketSent(packet));
        }
    }

    pub(crate) fn dropped(&self, reason: DropReason, message: impl FnOnce() -> Arc<Message>) {
        if let Some(teller) = self.0.as_ref().filter(|teller| teller.hooks.wants.messages) {
            teller.note(Notice::PublishDropped(message(), reason));
        }
    }

    pub(crate) fn retain_published(&self, message: &Arc<Message>) {
        if let Some(teller) = self.0.as_ref().filter(|teller| teller.hooks.wants.messages) {
            teller.note(Notice::RetainPublished(message.clone()));
        }
    }

    pub(crate) fn qos_published(
        &self,
        id: PacketId,
        resent: bool,
        message: impl FnOnce() -> Arc<Message>,
    ) {
        if let Some(teller) = self.exchanges() {
            teller.note(Notice::QosPublished { id, message: message(), resent });
        }
    }

    pub(crate) fn qos_completed(&self, id: PacketId) {
        if let Some(teller) = self.exchanges() {
            teller.note(Notice::QosCompleted(id));
        }
    }

    pub(crate) fn qos_dropped(&self, id: PacketId) {
        if let Some(teller) = self.exchanges() {
            teller.note(Notice::QosDropped(id));
        }
    }

    pub(crate) fn packet_ids_exhausted(&self, message: &Arc<Message>) {
        if let Some(teller) = self.exchanges() {
            teller.note(Notice::PacketIdsExhausted(message.clone()));
        }
    }

    fn exchanges(&self) -> Option<&Arc<Teller>> {
        self.0.as_ref().filter(|teller| teller.hooks.wants.exchanges)
    }
}

impl Teller {
    fn note(&self, notice: Notice) {
        self.hooks.note(Some(&self.client), notice);
    }
}
