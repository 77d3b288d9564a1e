//! Messages of QoS 1 and 2 that a client has not finished taking.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use latchlight_mqtt::{PacketId, QoS};
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::live::Ticket;
use crate::message::Message;
use crate::seldom::{Collection, Seldom};

/// What is open towards a client, by packet id.
#[derive(Debug)]
pub(crate) struct InFlight {
    exchanges: Seldom<Exchanges>,
    last_id: PacketId,
}

#[derive(Debug, Default)]
struct Exchanges {
    open: FxHashMap<PacketId, Open>,
    /// What an earlier connection was sent and this one was not, oldest first.
    again: VecDeque<PacketId>,
    /// How many this connection was sent.
    sent: u32,
    /// The bytes of all messages that are kept here.
    bytes: usize,
    /// Counts what was sent, so that it is sent again in the same order.
    sequence: u64,
}

/// One open message: small, for there may be very many.
#[derive(Debug)]
pub(crate) struct Open {
    sequence: u64,
    /// This connection was sent it.
    sent: bool,
    /// An earlier connection may have brought it.
    begun: bool,
    pub(crate) awaits: Awaits,
    held: Option<Box<Held>>,
}

/// What is held for an open message; nothing for most, which end with their
/// connections.
#[derive(Debug, Default)]
struct Held {
    /// Its number in the store, where that has it.
    stored: Option<u64>,
    /// Kept only where the session may outlive its connection, or another
    /// member of a shared subscription is to get it in the end.
    message: Option<Kept>,
    /// How many bytes its connection had been given with it.
    end: u64,
    /// A live publish: never sent again.
    live: Option<Arc<Ticket>>,
}

/// What is needed to send a message again.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) message: Arc<Message>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) identifiers: Box<[u32]>,
    /// The shared subscription that it came by.
    pub(crate) share: Option<Arc<str>>,
    /// Its number in the store, where that has it.
    pub(crate) stored: Option<u64>,
    /// It may have been sent in an earlier run of the broker.
    pub(crate) dup: bool,
}

/// The packet that goes on with an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "the standard's names")]
pub(crate) enum Awaits {
    PubAck,
    PubRec,
    PubComp,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { exchanges: Seldom::default(), last_id: PacketId::MIN }
    }
}

impl Collection for Exchanges {
    const NONE: &'static Self = &Self {
        open: FxHashMap::with_hasher(FxBuildHasher),
        again: VecDeque::new(),
        sent: 0,
        bytes: 0,
        sequence: 0,
    };

    fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

impl InFlight {
    /// How many of the client's window are taken.
    pub(crate) fn sent(&self) -> usize {
        self.exchanges.sent as usize
    }

    /// How many exchanges are open.
    pub(crate) fn len(&self) -> usize {
        self.exchanges.open.len()
    }

    /// The bytes of what is kept to be sent again.
    pub(crate) fn bytes(&self) -> usize {
        self.exchanges.bytes
    }

    /// Whether something of an earlier connection has to go first.
    pub(crate) fn has_again(&self) -> bool {
        !self.exchanges.again.is_empty()
    }

    /// Opens an exchange with a packet id that is free.
    pub(crate) fn open(
        &mut self,
        qos: QoS,
        message: Option<Kept>,
        live: Option<Arc<Ticket>>,
    ) -> PacketId {
        // Fewer than 65,535 are ever open, so that one is free [MQTT-2.2.1-4].
        let exchanges = &mut *self.exchanges;
        while exchanges.open.contains_key(&self.last_id) {
            self.last_id = self.last_id.next();
        }
        let id = self.last_id;
        self.last_id = id.next();
        exchanges.sequence += 1;
        exchanges.sent += 1;
        exchanges.bytes += size(message.as_ref());
        let awaits = if qos == QoS::ExactlyOnce { Awaits::PubRec } else { Awaits::PubAck };
        let stored = message.as_ref().and_then(|kept| kept.stored);
        let is_held = message.is_some() || live.is_some();
        let held = is_held.then(|| Box::new(Held { stored, message, end: 0, live }));
        let sequence = exchanges.sequence;
        exchanges.open.insert(id, Open { sequence, sent: true, begun: false, awaits, held });
        id
    }

    /// All that are open, in the order in which they were sent first.
    pub(crate) fn ids(&self) -> Vec<PacketId> {
        let mut all: Vec<_> =
            self.exchanges.open.iter().map(|(id, open)| (open.sequence, *id)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// It was appended to an output that holds so many bytes by now.
    pub(crate) fn appended(&mut self, id: PacketId, end: u64) {
        let open = self.exchanges.open.get_mut(&id);
        if let Some(held) = open.and_then(|open| open.held.as_mut()) {
            held.end = end;
        }
    }

    /// All that is open.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PacketId, &Open)> {
        self.exchanges.open.iter().map(|(id, open)| (*id, open))
    }

    /// What an exchange awaits.
    pub(crate) fn awaits(&self, id: PacketId) -> Option<Awaits> {
        self.exchanges.open.get(&id).map(|open| open.awaits)
    }

    /// PUBREC has come: the message is not needed any more. Gives its number
    /// in the store.
    pub(crate) fn received(&mut self, id: PacketId) -> Option<u64> {
        if self.exchanges.is_empty() {
            return None;
        }
        let exchanges = &mut *self.exchanges;
        let open = exchanges.open.get_mut(&id)?;
        open.awaits = Awaits::PubComp;
        let held = open.held.as_mut()?;
        exchanges.bytes -= size(held.message.take().as_ref());
        held.stored
    }

    /// An exchange of an earlier run of the broker goes on; they come in the
    /// order in which they were opened.
    pub(crate) fn restore(
        &mut self,
        id: PacketId,
        awaits: Awaits,
        stored: u64,
        kept: Option<Kept>,
    ) {
        let exchanges = &mut *self.exchanges;
        exchanges.sequence += 1;
        exchanges.bytes += size(kept.as_ref());
        let held = Held { stored: Some(stored), message: kept, ..Held::default() };
        let (sequence, held) = (exchanges.sequence, Some(Box::new(held)));
        exchanges.open.insert(id, Open { sequence, sent: false, begun: true, awaits, held });
        exchanges.again.push_back(id);
    }

    pub(crate) fn close(&mut self, id: PacketId) -> Option<Open> {
        self.close_where(id, |_| true)
    }

    /// Closes what awaits this.
    pub(crate) fn close_if(&mut self, id: PacketId, awaits: Awaits) -> Option<Open> {
        self.close_where(id, |open| open.awaits == awaits)
    }

    fn close_where(&mut self, id: PacketId, ends: impl FnOnce(&Open) -> bool) -> Option<Open> {
        if self.exchanges.is_empty() {
            return None;
        }
        let exchanges = &mut *self.exchanges;
        let Entry::Occupied(entry) = exchanges.open.entry(id) else { return None };
        if !ends(entry.get()) {
            return None;
        }
        let open = entry.remove();
        exchanges.sent -= u32::from(open.sent);
        exchanges.bytes -= size(open.message());
        if exchanges.open.is_empty() && exchanges.open.capacity() > 64 {
            self.clear();
        }
        Some(open)
    }

    /// The connection is gone: what is open goes to the next one, in the order
    /// in which it was sent first [MQTT-4.4.0-1], [MQTT-4.6.0-1]; but for live
    /// publishes, whose tickets this gives, and for what was not kept. The
    /// transport took so many bytes.
    pub(crate) fn disconnect(&mut self, written: u64) -> Vec<Arc<Ticket>> {
        let ends = |open: &Open| {
            open.is_live() || (open.message().is_none() && open.awaits != Awaits::PubComp)
        };
        if self.exchanges.is_empty() {
            self.clear();
            return Vec::new();
        }
        let ended = self.exchanges.open.extract_if(|_, open| ends(open));
        let live = ended.filter_map(|(_, open)| open.into_live()).collect();
        if self.exchanges.is_empty() {
            self.clear();
            return live;
        }
        let again = self.ids().into();
        let exchanges = &mut *self.exchanges;
        (exchanges.again, exchanges.sent) = (again, 0);
        for open in exchanges.open.values_mut() {
            open.begun |= open.sent && open.end() <= written;
            open.sent = false;
        }
        live
    }

    /// The next one that this connection has to be sent again.
    pub(crate) fn next_again(&mut self) -> Option<(PacketId, Awaits, Option<Kept>)> {
        if !self.has_again() {
            return None;
        }
        let exchanges = &mut *self.exchanges;
        while let Some(id) = exchanges.again.pop_front() {
            // The client may have acknowledged it before it was sent again.
            if let Some(open) = exchanges.open.get_mut(&id).filter(|open| !open.sent) {
                open.sent = true;
                exchanges.sent += 1;
                return Some((id, open.awaits, open.message().cloned()));
            }
        }
        exchanges.again = VecDeque::new();
        None
    }

    /// What is kept, in the order in which it was sent first.
    pub(crate) fn kept_mut(&mut self) -> impl Iterator<Item = (PacketId, &mut Open)> {
        let mut kept = Vec::new();
        if !self.exchanges.is_empty() {
            let all = self.exchanges.open.iter_mut().map(|(id, open)| (*id, open));
            kept.extend(all.filter(|(_, open)| open.message().is_some()));
        }
        kept.sort_unstable_by_key(|(_, open)| open.sequence);
        kept.into_iter()
    }

    /// What this connection was not sent.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = (PacketId, &Open)> {
        self.exchanges.open.iter().filter(|(_, open)| !open.sent).map(|(id, open)| (*id, open))
    }

    /// Forgets all but what came by shared subscriptions.
    pub(crate) fn keep_shared(&mut self) {
        if self.exchanges.is_empty() {
            return self.clear();
        }
        let Exchanges { open, again, sent, bytes, .. } = &mut *self.exchanges;
        open.retain(|_, open| open.is_shared());
        again.retain(|id| open.contains_key(id));
        *bytes = open.values().map(|open| size(open.message())).sum();
        *sent = open.values().map(|open| u32::from(open.sent)).sum();
    }

    /// What came by shared subscriptions and may go to other members, in its
    /// order; gone from here.
    pub(crate) fn take_shared(&mut self) -> Vec<Kept> {
        if self.exchanges.is_empty() {
            return Vec::new();
        }
        let shared = |_: &PacketId, open: &mut Open| open.is_shared();
        let mut shared: Vec<_> =
            self.exchanges.open.extract_if(shared).map(|(_, open)| open).collect();
        shared.sort_unstable_by_key(|open| open.sequence);
        self.keep_shared();
        // [MQTT-4.8.2-5]: what of QoS 2 may have reached the client goes to
        // nobody else.
        let may_go = |open: &Open| open.awaits == Awaits::PubAck || !open.begun;
        shared.into_iter().filter(may_go).filter_map(Open::into_message).collect()
    }

    /// What nothing is in any more goes.
    pub(crate) fn rest(&mut self) {
        self.exchanges.rest();
    }

    pub(crate) fn clear(&mut self) {
        self.exchanges = Seldom::default();
    }
}

impl Open {
    /// The message, where it is kept.
    pub(crate) fn message(&self) -> Option<&Kept> {
        self.held.as_ref()?.message.as_ref()
    }

    /// Its number in the store, where that has it.
    pub(crate) fn stored(&self) -> Option<u64> {
        self.held.as_ref()?.stored
    }

    /// It has this number in the store from now on, where it is kept.
    pub(crate) fn store_as(&mut self, sequence: u64) -> Option<&Kept> {
        let held = self.held.as_mut()?;
        let kept = held.message.as_mut()?;
        (kept.stored, held.stored) = (Some(sequence), Some(sequence));
        Some(kept)
    }

    /// The ticket of a live publish.
    pub(crate) fn into_live(self) -> Option<Arc<Ticket>> {
        self.held?.live
    }

    fn into_message(self) -> Option<Kept> {
        self.held?.message
    }

    fn is_live(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.live.is_some())
    }

    fn end(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.end)
    }

    fn is_shared(&self) -> bool {
        self.message().is_some_and(|kept| kept.share.is_some())
    }
}

fn size(kept: Option<&Kept>) -> usize {
    kept.map_or(0, |kept| kept.message.size())
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchlight_mqtt::Properties;

    fn kept(payload: &'static str) -> Option<Kept> {
        let message = Message {
            topic: "a".into(),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Properties::new(),
            expires_at: None,
        };
        let message = Arc::new(message);
        let identifiers = Box::default();
        Some(Kept {
            message,
            qos: QoS::AtLeastOnce,
            retain: false,
            identifiers,
            share: None,
            stored: None,
            dup: false,
        })
    }

    #[test]
    fn what_is_open_is_sent_again_in_its_order_once() {
        let mut in_flight = InFlight::default();
        let ids: Vec<_> =
            ["1", "2", "3"].map(|p| in_flight.open(QoS::AtLeastOnce, kept(p), None)).into();
        assert_eq!(in_flight.sent(), 3);
        in_flight.disconnect(0);
        assert_eq!(in_flight.sent(), 0);
        assert_eq!(in_flight.next_again().map(|(id, ..)| id), Some(ids[0]));
        // A stray acknowledgement of what was not sent again yet.
        in_flight.close(ids[1]);
        assert_eq!(in_flight.sent(), 1);
        assert_eq!(in_flight.next_again().map(|(id, ..)| id), Some(ids[2]));
        assert!(in_flight.next_again().is_none());
        assert!(!in_flight.has_again());
        assert_eq!(in_flight.sent(), 2);
    }

    #[test]
    fn what_was_not_kept_ends_with_its_connection() {
        let mut in_flight = InFlight::default();
        let id = in_flight.open(QoS::AtLeastOnce, None, None);
        in_flight.disconnect(0);
        assert!(in_flight.next_again().is_none());
        assert!(in_flight.close(id).is_none());
    }

    #[test]
    fn packet_ids_come_round_and_pass_over_open_ones() {
        let mut in_flight = InFlight::default();
        let first = in_flight.open(QoS::AtLeastOnce, None, None);
        for _ in 0..65_534 {
            let id = in_flight.open(QoS::AtLeastOnce, None, None);
            in_flight.close(id);
        }
        let next = in_flight.open(QoS::AtLeastOnce, None, None);
        assert_ne!(next, first);
        assert_eq!(next.get(), 2);
    }
}
