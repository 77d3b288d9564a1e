//! What a session is owed, noted for the store as it changes; what must be on
//! disk first is held back in the output.

use latchlight_mqtt::{PacketId, QoS};

use super::Outbound;
use crate::Time;
use crate::session::in_flight::{Awaits, Kept, Open};
use crate::store::{MessageState, Restored, SessionLog};

impl Outbound {
    /// The session has a place in the store from now on; what waits for it
    /// already is noted.
    pub(crate) fn begin_log(&mut self, mut log: SessionLog) {
        for (id, open) in self.in_flight.kept_mut() {
            let state = match open.awaits {
                Awaits::PubRec => MessageState::Sent(id),
                Awaits::PubAck | Awaits::PubComp => MessageState::Waits,
            };
            let sequence = log.next();
            log.owed(sequence, state, open.store_as(sequence), true);
        }
        self.queue.for_each_mut(|kept| {
            if kept.qos != QoS::AtMostOnce {
                let sequence = log.next();
                kept.stored = Some(sequence);
                log.owed(sequence, MessageState::Waits, Some(kept), true);
            }
        });
        self.rest();
        self.log = Some(Box::new(log));
    }

    /// The store forgets the session; gives the commit after which it has.
    pub(crate) fn end_log(&mut self) -> Option<u64> {
        self.log.take().map(|log| log.forget())
    }

    /// What an earlier run of the broker owed the client.
    pub(crate) fn restore(&mut self, log: SessionLog, owed: impl Iterator<Item = Restored>) {
        self.durable = true;
        self.log = Some(Box::new(log));
        for Restored { stored, state, kept } in owed {
            match (state, kept) {
                (MessageState::Waits, Some(kept)) => self.queue.restore(kept),
                (MessageState::Waits, None) => {}
                (MessageState::Sent(id), kept) => {
                    self.in_flight.restore(id, Awaits::PubRec, stored, kept);
                }
                (MessageState::Released(id), _) => {
                    self.in_flight.restore(id, Awaits::PubComp, stored, None);
                }
            }
        }
    }

    /// Notes all that the client is owed, for a store that has lost it.
    pub(crate) fn note_all(&self) {
        let Some(log) = &self.log else { return };
        for (id, open) in self.in_flight.iter() {
            let Some(stored) = open.stored() else { continue };
            let state = match open.awaits {
                Awaits::PubAck => MessageState::Waits,
                Awaits::PubRec => MessageState::Sent(id),
                Awaits::PubComp => MessageState::Released(id),
            };
            log.owed(stored, state, open.message(), false);
        }
        self.queue.for_each(|kept| {
            if let Some(stored) = kept.stored {
                log.owed(stored, MessageState::Waits, Some(kept), false);
            }
        });
    }

    /// How long the session outlives its connection was noted for this
    /// commit; gives the one after which the store keeps it for as long.
    pub(crate) fn note_expiry(&mut self, expiry: Time, commit: u64) -> Option<u64> {
        self.log.as_mut().map(|log| log.note_expiry(expiry, commit))
    }

    pub(crate) fn is_logged(&self) -> bool {
        self.log.is_some()
    }

    /// Notes that a message is about to be sent; of QoS 2, that waits until
    /// the packet id is on disk.
    pub(super) fn note_sent(&mut self, kept: &Kept, id: PacketId, new: bool) -> Option<u64> {
        let (Some(log), Some(stored)) = (&mut self.log, kept.stored) else { return None };
        if kept.qos != QoS::ExactlyOnce {
            return new.then(|| log.owed(stored, MessageState::Waits, Some(kept), true));
        }
        let commit = log.owed(stored, MessageState::Sent(id), Some(kept), new);
        log.note_id(commit);
        self.hold_ids();
        Some(commit)
    }

    /// An exchange is over.
    pub(super) fn close(&mut self, id: PacketId) -> Option<Open> {
        let open = self.in_flight.close(id)?;
        self.note_done(open.stored());
        Some(open)
    }

    pub(super) fn note_done(&self, stored: Option<u64>) {
        if let (Some(log), Some(stored)) = (&self.log, stored) {
            log.done(stored);
        }
    }

    pub(super) fn note_waits(&self, kept: &Kept) -> Option<u64> {
        let (log, stored) = (self.log.as_ref()?, kept.stored?);
        Some(log.owed(stored, MessageState::Waits, Some(kept), true))
    }

    /// PUBREL waits until it is on disk that the client has the message.
    pub(super) fn note_released(&mut self, id: PacketId) {
        let stored = self.in_flight.received(id);
        let (Some(log), Some(stored)) = (&mut self.log, stored) else { return };
        let commit = log.owed(stored, MessageState::Released(id), None, false);
        log.note_id(commit);
        self.hold_ids();
    }

    /// What is sent from here on waits until it is on disk which packet ids of
    /// QoS 2 are in use, and how far: also on a connection that comes before
    /// that is so.
    pub(super) fn hold_ids(&mut self) {
        if let (Some(log), Some(sender)) = (&self.log, &mut self.sender) {
            log.wait(log.ids_kept_with()).hold(&mut sender.out);
        }
    }
}
