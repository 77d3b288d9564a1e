//! What we sent under a packet id and the server has not yet answered for good.
use std::collections::{HashMap, VecDeque};

use latchlight_mqtt::{
    Packet, PacketId, PubRel, Publish, QoS, ReasonCode, SubscribeFilter, TopicFilter,
};

use crate::error::ClientError;
use crate::request::Done;

/// One open exchange.
#[derive(Debug)]
pub(crate) enum Exchange {
    Publish(InFlight),
    Subscribe {
        filters: Vec<SubscribeFilter>,
        /// None where the client itself renews subscriptions.
        done: Option<Done<Vec<ReasonCode>>>,
    },
    Unsubscribe {
        filters: Vec<TopicFilter>,
        done: Done<Vec<ReasonCode>>,
    },
}

/// A message of QoS 1 or 2 on its way.
#[derive(Debug)]
pub(crate) struct InFlight {
    publish: Publish,
    /// The PUBREC has come: only the PUBREL is sent again.
    released: bool,
    /// It takes a place in the window of this connection.
    sent: bool,
    sequence: u64,
    done: Done<ReasonCode>,
}

/// The open exchanges: at most 65,535, as many as there are packet ids.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    open: HashMap<PacketId, Exchange>,
    last_id: u16,
    sequence: u64,
    /// Messages that wait to be sent again on this connection, oldest first.
    resend: VecDeque<PacketId>,
    /// Places taken in the server's window.
    window_used: usize,
    publishes: usize,
}

impl Exchanges {
    /// Whether one more message may go out under a window of `window` messages.
    pub(crate) fn has_room(&self, window: usize) -> bool {
        self.resend.is_empty()
            && self.window_used < window
            && self.open.len() < usize::from(u16::MAX)
    }

    /// Whether no message is on its way.
    pub(crate) fn no_publishes(&self) -> bool {
        self.publishes == 0
    }

    /// Opens the exchange of a message of QoS 1 or 2 and returns the packet to send. Call it only
    /// where there is room.
    pub(crate) fn publish(
        &mut self,
        mut publish: Publish,
        done: Done<ReasonCode>,
    ) -> (PacketId, Packet) {
        let packet_id = self.free_id();
        publish.packet_id = Some(packet_id);
        let packet = Packet::Publish(publish.clone());
        self.sequence += 1;
        self.publishes += 1;
        self.window_used += 1;
        let sequence = self.sequence;
        let in_flight = InFlight { publish, released: false, sent: true, sequence, done };
        self.open.insert(packet_id, Exchange::Publish(in_flight));
        (packet_id, packet)
    }

    /// Closes the exchange of a message that cannot be sent.
    pub(crate) fn refuse(&mut self, packet_id: PacketId, error: ClientError) {
        if let Some(in_flight) = self.close_publish(packet_id) {
            let _ = in_flight.done.send(Err(error));
        }
    }

    /// Opens the exchange of a SUBSCRIBE or UNSUBSCRIBE and returns its packet id.
    pub(crate) fn begin(&mut self, exchange: Exchange) -> PacketId {
        let packet_id = self.free_id();
        self.open.insert(packet_id, exchange);
        packet_id
    }

    fn free_id(&mut self) -> PacketId {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            // 0 is no packet id, and one in use may not be used twice [MQTT-2.2.1-3].
            if let Some(packet_id) = PacketId::new(self.last_id)
                && !self.open.contains_key(&packet_id)
            {
                return packet_id;
            }
        }
    }

    /// The server answered a QoS 1 message, or completed a QoS 2 one.
    pub(crate) fn acknowledged(&mut self, packet_id: PacketId, qos: QoS, reason: ReasonCode) {
        let belongs = matches!(self.open.get(&packet_id), Some(Exchange::Publish(in_flight))
            if in_flight.publish.qos == qos);
        if belongs && let Some(in_flight) = self.close_publish(packet_id) {
            let outcome =
                if reason.is_error() { Err(ClientError::Refused(reason)) } else { Ok(reason) };
            // Nobody may wait any more: the message is done all the same.
            let _ = in_flight.done.send(outcome);
        }
    }

    /// The server has received a QoS 2 message, or refused it: returns the PUBREL to send.
    pub(crate) fn received(&mut self, packet_id: PacketId, reason: ReasonCode) -> Option<PubRel> {
        let known = match self.open.get_mut(&packet_id) {
            Some(Exchange::Publish(in_flight)) if in_flight.publish.qos == QoS::ExactlyOnce => {
                in_flight.released = !reason.is_error();
                true
            }
            _ => false,
        };
        if reason.is_error() {
            if known {
                self.acknowledged(packet_id, QoS::ExactlyOnce, reason);
            }
            return None;
        }
        let reason = if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
        Some(PubRel::new(packet_id, reason))
    }

    /// Closes the exchange of a SUBSCRIBE or UNSUBSCRIBE that the server answered.
    pub(crate) fn answered(&mut self, packet_id: PacketId) -> Option<Exchange> {
        match self.open.get(&packet_id) {
            None | Some(Exchange::Publish(_)) => None,
            Some(_) => self.open.remove(&packet_id),
        }
    }

    fn close_publish(&mut self, packet_id: PacketId) -> Option<InFlight> {
        match self.open.remove(&packet_id) {
            Some(Exchange::Publish(in_flight)) => {
                self.publishes -= 1;
                self.window_used -= usize::from(in_flight.sent);
                Some(in_flight)
            }
            _ => None,
        }
    }

    /// The connection ended: a SUBSCRIBE or UNSUBSCRIBE has no answer to wait for any more.
    pub(crate) fn connection_lost(&mut self) {
        self.resend.clear();
        self.window_used = 0;
        let answered_on_this_connection: Vec<PacketId> = self
            .open
            .iter_mut()
            .filter_map(|(packet_id, exchange)| match exchange {
                Exchange::Publish(in_flight) => {
                    in_flight.sent = false;
                    None
                }
                _ => Some(*packet_id),
            })
            .collect();
        for packet_id in answered_on_this_connection {
            match self.open.remove(&packet_id) {
                Some(Exchange::Subscribe { done: Some(done), .. })
                | Some(Exchange::Unsubscribe { done, .. }) => {
                    let _ = done.send(Err(ClientError::ConnectionLost));
                }
                _ => {}
            }
        }
    }

    /// A new connection stands: what was on its way goes out again, in its order [MQTT-4.6.0-1].
    pub(crate) fn resume(&mut self, session_present: bool) {
        let mut order: Vec<(u64, PacketId)> = Vec::new();
        let mut lost = Vec::new();
        for (packet_id, exchange) in &mut self.open {
            if let Exchange::Publish(in_flight) = exchange {
                // A new session has seen no first attempt, so that this is none of a row of
                // duplicates [MQTT-3.3.1-1]; of QoS 2 it cannot know what the old one delivered.
                in_flight.publish.dup = session_present;
                if session_present || in_flight.publish.qos != QoS::ExactlyOnce {
                    order.push((in_flight.sequence, *packet_id));
                } else {
                    lost.push(*packet_id);
                }
            }
        }
        for packet_id in lost {
            if let Some(in_flight) = self.close_publish(packet_id) {
                let _ = in_flight.done.send(Err(ClientError::SessionLost));
            }
        }
        order.sort_unstable();
        self.resend = order.into_iter().map(|(_, packet_id)| packet_id).collect();
    }

    /// The next packet to send again, as far as the window allows.
    pub(crate) fn next_resend(&mut self, window: usize) -> Option<Packet> {
        while self.window_used < window {
            let packet_id = self.resend.pop_front()?;
            if let Some(Exchange::Publish(in_flight)) = self.open.get_mut(&packet_id) {
                in_flight.sent = true;
                self.window_used += 1;
                return Some(match in_flight.released {
                    false => Packet::Publish(in_flight.publish.clone()),
                    true => Packet::PubRel(PubRel::new(packet_id, ReasonCode::Success)),
                });
            }
        }
        None
    }
}
