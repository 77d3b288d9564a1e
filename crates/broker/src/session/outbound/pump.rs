//! What the client acknowledges, and what is sent for it.

use latchlight_mqtt::{AckView, PacketId, PacketType, QoS, ReasonCode};

use super::Outbound;
use crate::counters::Counters;
use crate::session::in_flight::Awaits;
use crate::session::queue::Popped;
use crate::{DropReason, Options, Time};

impl Outbound {
    /// An acknowledgement of the client.
    pub(crate) fn acknowledge(
        &mut self,
        ack: AckView,
        now: Time,
        options: &Options,
        counters: &Counters,
    ) {
        self.last_acknowledgement = now;
        match ack.packet_type {
            PacketType::PubAck => self.complete(ack, Awaits::PubAck),
            PacketType::PubComp => self.complete(ack, Awaits::PubComp),
            PacketType::PubRec => self.received(ack),
            _ => {}
        }
        self.pump(now, options, counters);
    }

    fn received(&mut self, ack: AckView) {
        match self.in_flight.awaits(ack.packet_id) {
            // [MQTT-4.3.3-4]: a failure ends it, and no PUBREL is sent.
            Some(Awaits::PubRec) if ack.reason.is_error() => self.complete(ack, Awaits::PubRec),
            Some(Awaits::PubRec | Awaits::PubComp) => {
                self.note_released(ack.packet_id);
                self.release(ack, ReasonCode::Success);
            }
            // Nothing of that id is open: the client gets to close it.
            _ if !ack.reason.is_error() => {
                self.release(ack, ReasonCode::PacketIdentifierNotFound);
            }
            _ => {}
        }
    }

    fn release(&mut self, ack: AckView, reason: ReasonCode) {
        if let Some(sender) = &mut self.sender {
            sender.acknowledge(PacketType::PubRel, ack.packet_id, reason);
        }
    }

    /// The end of an exchange, if it is open and awaits this.
    fn complete(&mut self, ack: AckView, awaits: Awaits) {
        let Some(open) = self.in_flight.close_if(ack.packet_id, awaits) else { return };
        self.note_done(open.stored());
        if ack.reason.is_error() {
            self.tells.qos_dropped(ack.packet_id);
        } else {
            self.tells.qos_completed(ack.packet_id);
        }
        match open.into_live() {
            Some(ticket) if ack.reason.is_error() => ticket.lost(),
            Some(ticket) => ticket.delivered(),
            None => {}
        }
    }

    /// Sends what waits, as far as window and output let it.
    pub(crate) fn pump(&mut self, now: Time, options: &Options, counters: &Counters) {
        self.send_waiting(now, options, counters);
        self.count(counters);
    }

    fn send_waiting(&mut self, now: Time, options: &Options, counters: &Counters) {
        loop {
            let Some(sender) = &mut self.sender else { return };
            if sender.out.len() > options.high_water || self.sifting || self.finished {
                return;
            }
            if self.has_window(options) {
                if self.send_again(now, counters) {
                    continue;
                }
                if let Some(waiting) = self.live.pop(now) {
                    self.send_live(waiting, now);
                    continue;
                }
            }
            if !self.pump_queue(now, options, counters) {
                return;
            }
        }
    }

    /// Sends one of what an earlier connection left open; false: there is none.
    fn send_again(&mut self, now: Time, counters: &Counters) -> bool {
        let Some((id, awaits, kept)) = self.in_flight.next_again() else { return false };
        if awaits != Awaits::PubAck {
            self.hold_ids();
        }
        let Some(sender) = &mut self.sender else { return false };
        match (awaits, kept) {
            (Awaits::PubComp, _) => {
                sender.acknowledge(PacketType::PubRel, id, ReasonCode::Success);
            }
            // [MQTT-3.3.1-1]
            (_, Some(kept)) if sender.send_kept(&kept, Some(id), true, now) => {
                if kept.share.is_some() {
                    self.in_flight.appended(id, sender.position());
                }
                self.tells.qos_published(id, true, || kept.message);
            }
            (_, kept) => {
                self.dropped += 1;
                counters.dropped_too_large.one();
                if let Some(kept) = kept {
                    self.tells.dropped(DropReason::TooLarge, || kept.message);
                }
                self.forget(id, awaits);
            }
        }
        true
    }

    /// What cannot be sent again is over.
    fn forget(&mut self, id: PacketId, awaits: Awaits) {
        if awaits == Awaits::PubRec {
            // The client may have the message under this id, and would take
            // another one for it: it is told to forget it [MQTT-4.3.3-5].
            self.note_released(id);
            if let Some(sender) = &mut self.sender {
                sender.acknowledge(PacketType::PubRel, id, ReasonCode::Success);
            }
        } else {
            self.close(id);
            self.tells.qos_dropped(id);
        }
    }

    /// Sends the next of the queue; false: there is none that may go.
    fn pump_queue(&mut self, now: Time, options: &Options, counters: &Counters) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        // What needs no place in the window may go without room in it.
        let has_room = self.has_room(1, options);
        let may_go = |qos| has_room || qos == QoS::AtMostOnce;
        let Popped { next, expired, gone } = self.queue.pop(now, may_go);
        gone.into_iter().for_each(|stored| self.note_done(Some(stored)));
        counters.dropped_expired.add(expired.len() as u64);
        self.dropped += expired.len() as u64;
        for expired in expired {
            self.note_done(expired.stored);
            self.tells.dropped(DropReason::Expired, || expired.message);
        }
        let Some(kept) = next else { return false };
        let id = (kept.qos != QoS::AtMostOnce).then(|| {
            let keeps = self.durable || kept.share.is_some();
            let message = keeps.then(|| kept.clone());
            self.in_flight.open(kept.qos, message, None)
        });
        if let Some(id) = id {
            self.note_sent(&kept, id, false);
        }
        let Some(sender) = &mut self.sender else { return false };
        if sender.send_kept(&kept, id, kept.dup, now) {
            if let Some(id) = id.filter(|_| kept.share.is_some()) {
                self.in_flight.appended(id, sender.position());
            }
            if let Some(id) = id {
                self.tells.qos_published(id, kept.dup, || kept.message);
            }
        } else {
            id.and_then(|id| self.close(id));
            self.dropped += 1;
            counters.dropped_too_large.one();
            self.tells.dropped(DropReason::TooLarge, || kept.message);
        }
        true
    }
}
