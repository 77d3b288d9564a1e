//! What is counted of a session: what its client was sent and did not get, and
//! what waits.

use super::Outbound;
use crate::counters::Counters;
use crate::message::Forward;
use crate::seldom::Collection as _;
use crate::{DropReason, Traffic};

/// How much waits for a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Depth {
    pub(crate) queued_messages: usize,
    pub(crate) queued_bytes: usize,
    pub(crate) in_flight: usize,
    /// Those of them that are kept to be sent again.
    pub(crate) kept_in_flight: usize,
    /// For the socket.
    pub(crate) output_bytes: usize,
}

impl Outbound {
    /// Counts what waits here among all that waits.
    pub(super) fn count(&mut self, counters: &Counters) {
        let bytes = self.queue.bytes() + self.in_flight.bytes();
        if bytes != self.counted {
            counters.waiting_bytes.add(bytes as u64);
            counters.waiting_bytes.sub(self.counted as u64);
            self.counted = bytes;
        }
    }

    /// Counts and tells that the client does not get a message, nor anybody in
    /// its place.
    pub(crate) fn note_lost(
        &mut self,
        forward: &Forward<'_>,
        reason: DropReason,
        counters: &Counters,
    ) {
        self.dropped += 1;
        match reason {
            DropReason::QueueFull => counters.dropped_queue_full.one(),
            DropReason::Stalled => counters.dropped_stalled.one(),
            DropReason::TooLarge => counters.dropped_too_large.one(),
            DropReason::Offline => counters.dropped_offline.one(),
            DropReason::StoreFull => counters.dropped_store_full.one(),
            _ => {}
        }
        self.tells.dropped(reason, || forward.keep());
    }

    /// Adds what was sent to what all clients were sent: once a batch.
    pub(crate) fn report(&mut self, counters: &Counters) {
        let Some(sender) = &mut self.sender else { return };
        if sender.sent.is_empty() {
            return;
        }
        // Who is sent no messages is mostly sent nothing more for long.
        let sent = match sender.sent.all_messages() {
            0 => sender.sent.take(),
            _ => std::mem::take(&mut *sender.sent),
        };
        counters.sent.add(&sent);
        self.sent.add(&sent);
    }

    /// What its client was sent, by all its connections.
    pub(crate) fn sent(&self) -> Traffic {
        let mut sent = self.sent.get();
        if let Some(sender) = &self.sender {
            sent.add(&sender.sent);
        }
        sent
    }

    /// Messages that its client did not get.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How much waits here.
    pub(crate) fn depth(&self) -> Depth {
        Depth {
            queued_messages: self.queue.len(),
            queued_bytes: self.queue.bytes(),
            in_flight: self.in_flight.len(),
            kept_in_flight: if self.durable { self.in_flight.len() } else { 0 },
            output_bytes: self.sender.as_ref().map_or(0, |sender| sender.out.len()),
        }
    }
}
