//! What a session tells the observers of its own: nothing, where none of them
//! wants to know.

use std::sync::Arc;

use latchlight_mqtt::{Packet, PacketId};

use super::{Hooks, Notice, Panicked, without_secrets};
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
        let (wants, steps) = (hooks.wants, hooks.steps);
        let asked = wants.packets || wants.messages || wants.exchanges || steps.encode_packet;
        let make = || Arc::new(Teller { hooks: hooks.clone(), client: client.clone() });
        Self(asked.then(make))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether packets that are sent are told of, or may be changed.
    pub(crate) fn of_packets(&self) -> bool {
        let asks = |hooks: &Hooks| hooks.wants.packets || hooks.steps.encode_packet;
        self.0.as_ref().is_some_and(|teller| asks(&teller.hooks))
    }

    /// Lets the interceptors change a packet before it is sent.
    ///
    /// # Errors
    /// One of them panicked.
    pub(crate) fn encode(&self, packet: &mut Packet) -> Result<(), Panicked> {
        match &self.0 {
            Some(teller) => teller.hooks.encode_packet(&teller.client, packet),
            None => Ok(()),
        }
    }

    /// Whether exchanges are told of.
    pub(crate) fn of_exchanges(&self) -> bool {
        self.0.as_ref().is_some_and(|teller| teller.hooks.wants.exchanges)
    }

    pub(crate) fn packet_sent(&self, packet: Packet) {
        if let Some(teller) = self.0.as_ref().filter(|teller| teller.hooks.wants.packets) {
            teller.note(Notice::PacketSent(without_secrets(packet)));
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
