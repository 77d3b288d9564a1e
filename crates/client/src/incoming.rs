//! What comes in over one connection.
use latchlight_mqtt::{
    Packet, PacketType, PubAck, PubComp, PubRec, Publish, QoS, ReasonCode, SubAck, UnsubAck,
};

use crate::error::ConnectionError;
use crate::event::{Event, Message, Receipt};
use crate::exchanges::Exchange;
use crate::online::Online;
use crate::options::Acknowledge;

impl Online<'_> {
    pub(crate) fn receive(&mut self, packet: Packet) -> Result<(), ConnectionError> {
        self.pinged_at = None;
        match packet {
            Packet::Publish(publish) => return self.receive_publish(publish),
            Packet::PubAck(PubAck { packet_id, reason, .. }) => {
                self.driver.exchanges.acknowledged(packet_id, QoS::AtLeastOnce, reason);
            }
            Packet::PubRec(PubRec { packet_id, reason, .. }) => {
                if let Some(pubrel) = self.driver.exchanges.received(packet_id, reason) {
                    self.connection.queue(&Packet::PubRel(pubrel))?;
                }
            }
            Packet::PubComp(PubComp { packet_id, reason, .. }) => {
                self.driver.exchanges.acknowledged(packet_id, QoS::ExactlyOnce, reason);
            }
            Packet::PubRel(pubrel) => {
                let known = self.driver.received.remove(&pubrel.packet_id);
                let reason =
                    if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
                let packet_id = pubrel.packet_id;
                self.connection.queue(&Packet::PubComp(PubComp::new(packet_id, reason)))?;
            }
            Packet::SubAck(suback) => self.subscribed(suback),
            Packet::UnsubAck(unsuback) => self.unsubscribed(unsuback),
            Packet::PingResp => {}
            Packet::Disconnect(disconnect) => {
                return Err(ConnectionError::Disconnected(disconnect.reason));
            }
            other => {
                return Err(ConnectionError::Unexpected {
                    expected: PacketType::Publish,
                    received: other.packet_type(),
                });
            }
        }
        // An answer may have made room for what waits to be sent again.
        self.send_again()
    }

    fn receive_publish(&mut self, publish: Publish) -> Result<(), ConnectionError> {
        let automatic = self.driver.options.acknowledge == Acknowledge::Automatically;
        let message = Message::from_publish(publish, self.driver.connections);
        let Some(receipt) = message.receipt else {
            self.driver.outbox.push(Event::Message(message));
            return Ok(());
        };
        let is_new = match receipt.qos {
            QoS::ExactlyOnce => {
                // The second copy of what was received is answered and not delivered
                // [MQTT-4.3.3-10].
                if self.driver.received.contains(&receipt.packet_id) {
                    self.acknowledge(receipt, ReasonCode::Success);
                    return Ok(());
                }
                self.unanswered.insert(receipt.packet_id)
            }
            _ => true,
        };
        if is_new {
            self.driver.outbox.push(Event::Message(message));
        }
        if automatic {
            self.acknowledge(receipt, ReasonCode::Success);
        }
        Ok(())
    }

    pub(crate) fn acknowledge(&mut self, receipt: Receipt, reason: ReasonCode) {
        // Its connection is gone, and the packet id may mean another message by now.
        if receipt.connection != self.driver.connections {
            return;
        }
        let packet_id = receipt.packet_id;
        let packet = match receipt.qos {
            QoS::ExactlyOnce => {
                self.unanswered.remove(&packet_id);
                if !reason.is_error() {
                    self.driver.received.insert(packet_id);
                }
                Packet::PubRec(PubRec::new(packet_id, reason))
            }
            _ => Packet::PubAck(PubAck::new(packet_id, reason)),
        };
        self.connection
            .queue(&packet)
            .expect("an acknowledgement has nothing that could be invalid");
    }

    fn subscribed(&mut self, suback: SubAck) {
        let Some(Exchange::Subscribe { filters, done }) =
            self.driver.exchanges.answered(suback.packet_id)
        else {
            return;
        };
        let refused = self.driver.subscriptions.answered(filters, &suback.reasons);
        match done {
            Some(done) => drop(done.send(Ok(suback.reasons))),
            None => {
                for (filter, reason) in refused {
                    self.driver.outbox.push(Event::SubscriptionLost { filter, reason });
                }
            }
        }
    }

    fn unsubscribed(&mut self, unsuback: UnsubAck) {
        if let Some(Exchange::Unsubscribe { filters, done }) =
            self.driver.exchanges.answered(unsuback.packet_id)
        {
            self.driver.subscriptions.removed(&filters);
            let _ = done.send(Ok(unsuback.reasons));
        }
    }
}
