//! Live publishes: sent now, or when the window has room, or not at all.

use std::sync::Arc;

use latchlight_mqtt::QoS;

use super::{Outbound, Receiver};
use crate::live::Ticket;
use crate::message::Message;
use crate::seldom::Seldom;
use crate::session::in_flight::Kept;
use crate::session::live_queue::Waiting;
use crate::{Options, Time};

/// How many live publishes of QoS 0 may be open on a connection; one more is
/// refused.
const MOST_UNACKNOWLEDGED: usize = 1024;

/// Live publishes of QoS 0, for which no PUBACK comes: whether they can still
/// arrive is for the transport to say.
#[derive(Debug, Default)]
pub(super) struct Unacknowledged(Seldom<Vec<SentAt>>);

#[derive(Debug)]
struct SentAt {
    ticket: Arc<Ticket>,
    /// How many bytes its connection had been given with its last one.
    end: u64,
}

impl Unacknowledged {
    /// All, for whose sake the connection is to be reset.
    pub(super) fn take(&mut self) -> Vec<Arc<Ticket>> {
        self.0.take().into_iter().map(|sent| sent.ticket).collect()
    }

    pub(super) fn rest(&mut self) {
        self.0.rest();
    }

    /// Forgets what can arrive no more; false: there is no room for another.
    fn has_room(&mut self) -> bool {
        self.0.retain(|sent| sent.ticket.is_sent());
        self.0.len() < MOST_UNACKNOWLEDGED
    }
}

impl Outbound {
    /// A live publish: now, or when the window has room, or not at all.
    pub(crate) fn deliver_live(
        &mut self,
        message: &Arc<Message>,
        receiver: &Receiver,
        ticket: &Arc<Ticket>,
        deadline: Time,
        now: Time,
        options: &Options,
    ) {
        // QoS 2 would hold its packet id beyond the connection.
        let qos = message.qos.min(receiver.qos).min(QoS::AtLeastOnce);
        if self.is_held() {
            return ticket.gone_unsent();
        }
        let waiting = Waiting { message: message.clone(), qos, ticket: ticket.clone(), deadline };
        let room = qos == QoS::AtMostOnce || self.has_window(options);
        match &self.sender {
            Some(sender)
                if room && self.live.is_empty() && sender.out.len() <= options.high_water =>
            {
                self.send_live(waiting, now);
            }
            Some(_) => {
                if let Err(waiting) = self.live.push(waiting) {
                    waiting.ticket.gone_unsent();
                }
            }
            None => ticket.gone_unsent(),
        }
    }

    pub(super) fn send_live(&mut self, waiting: Waiting, now: Time) {
        let Waiting { message, qos, ticket, .. } = waiting;
        let Some(sender) = &mut self.sender else { return ticket.gone_unsent() };
        let kept = Kept {
            message,
            qos,
            retain: false,
            identifiers: Box::default(),
            share: None,
            stored: None,
            dup: false,
        };
        let id = match qos {
            QoS::AtMostOnce if !self.live_unacknowledged.has_room() => {
                return ticket.gone_unsent();
            }
            QoS::AtMostOnce => None,
            _ => Some(self.in_flight.open(qos, None, Some(ticket.clone()))),
        };
        if !sender.send_kept(&kept, id, false, now) {
            if let Some(id) = id {
                self.in_flight.close(id);
            }
            return ticket.gone_unsent();
        }
        if id.is_none() {
            let sent = SentAt { ticket: ticket.clone(), end: sender.position() };
            self.live_unacknowledged.0.push(sent);
        }
        if let Some(id) = id {
            self.tells.qos_published(id, false, || kept.message);
        }
        ticket.sent();
    }

    /// Whether the transport is to be asked what is on its way: something was
    /// sent at QoS 0 and confirmed.
    pub(crate) fn has_confirmed_live(&self) -> bool {
        self.live_unacknowledged.0.iter().any(|sent| sent.ticket.is_confirmed())
    }

    /// Of what the transport took, so many bytes are on their way still: what
    /// was confirmed and is not among them can arrive no more.
    pub(crate) fn settle_live(&mut self, on_their_way: u64) {
        let Some(sender) = &self.sender else { return };
        let arrived = sender.written().saturating_sub(on_their_way);
        self.live_unacknowledged.0.retain(|sent| {
            let over = sent.end <= arrived && sent.ticket.is_confirmed();
            if over {
                sent.ticket.arrived();
            }
            !over
        });
        self.live_unacknowledged.rest();
    }
}
