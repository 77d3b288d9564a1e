//! The end of a connection, and of the session: what goes with it, and what
//! others get in its place.

use std::sync::Arc;

use latchlight_mqtt::PacketId;

use super::Outbound;
use crate::DropReason;
use crate::counters::Counters;
use crate::live::Ticket;
use crate::session::in_flight::Kept;

impl Outbound {
    /// The connection is gone, and what it was sent is reported; gives the live publishes that were on their
    /// way, for whose sake the socket must be reset.
    pub(crate) fn disconnect(&mut self) -> Vec<Arc<Ticket>> {
        let open = self.open_exchanges();
        let sender = self.sender.take();
        let written = sender.map_or(0, |sender| sender.written());
        (self.sifting, self.finished) = (false, false);
        self.live.abandon();
        let mut lost = self.in_flight.disconnect(written);
        lost.append(&mut self.live_unacknowledged.take());
        lost.retain(|ticket| ticket.is_sent());
        if self.durable {
            self.queue.disconnect();
        } else {
            // Whoever ends the session gives this to others.
            self.in_flight.keep_shared();
            self.queue.keep_shared();
        }
        self.rest();
        self.tell_dropped(&open);
        lost
    }

    /// The session has ended: nothing waits any more, and it takes nothing
    /// more. Gives what others get in its place, oldest first.
    pub(crate) fn end(&mut self, counters: &Counters) -> Vec<Kept> {
        self.durable = false;
        let open = self.open_exchanges();
        let mut left = self.in_flight.take_shared();
        left.append(&mut self.queue.take_shared());
        self.in_flight.clear();
        self.tell_dropped(&open);
        let Self { queue, tells, .. } = &mut *self;
        queue.for_each(|kept| tells.dropped(DropReason::SessionEnded, || kept.message.clone()));
        self.queue.clear();
        self.count(counters);
        self.report(counters);
        left
    }

    /// What is open, where that is told of.
    fn open_exchanges(&self) -> Vec<PacketId> {
        if self.tells.of_exchanges() { self.in_flight.ids() } else { Vec::new() }
    }

    /// Tells which of these are not open any more.
    fn tell_dropped(&self, were_open: &[PacketId]) {
        let ended = were_open.iter().filter(|id| self.in_flight.awaits(**id).is_none());
        ended.for_each(|id| self.tells.qos_dropped(*id));
    }
}
