//! What goes out over one connection.
use latchlight_mqtt::{
    ConnAck, Packet, PacketId, Publish, QoS, ReasonCode, Subscribe, Unsubscribe,
};

use crate::error::ConnectionError;
use crate::exchanges::Exchange;
use crate::online::Online;
use crate::request::{Done, Request};

impl Online<'_> {
    /// Sends again what the last connection left open, and subscribes again where needed.
    pub(crate) fn resume(&mut self, connack: &ConnAck) -> Result<(), ConnectionError> {
        self.driver.exchanges.resume(connack.session_present);
        if !connack.session_present {
            self.driver.received.clear();
            let renewals: Vec<_> = self.driver.subscriptions.renewals().collect();
            for filters in renewals {
                let exchange = Exchange::Subscribe { filters: filters.clone(), done: None };
                let packet_id = self.driver.exchanges.begin(exchange);
                let properties = Default::default();
                self.connection.queue(&Packet::Subscribe(Subscribe {
                    packet_id,
                    filters,
                    properties,
                }))?;
            }
        }
        self.send_again()
    }

    pub(crate) fn send_again(&mut self) -> Result<(), ConnectionError> {
        while let Some(packet) = self.driver.exchanges.next_resend(self.window) {
            self.connection.queue(&packet)?;
        }
        Ok(())
    }

    /// Does one request. One that the server would not take is answered at once.
    pub(crate) fn request(&mut self, request: Request) {
        match request {
            Request::Publish { publish, done } => self.publish(publish, done),
            Request::Subscribe { filters, done } => {
                let asked = filters.clone();
                self.ask(Exchange::Subscribe { filters, done: Some(done) }, |packet_id| {
                    let properties = Default::default();
                    Packet::Subscribe(Subscribe { packet_id, filters: asked, properties })
                });
            }
            Request::Unsubscribe { filters, done } => {
                let asked = filters.clone();
                self.ask(Exchange::Unsubscribe { filters, done }, |packet_id| {
                    let properties = Default::default();
                    Packet::Unsubscribe(Unsubscribe { packet_id, filters: asked, properties })
                });
            }
        }
    }

    fn publish(&mut self, publish: Publish, done: Done<ReasonCode>) {
        // Whoever asked may have stopped waiting: the answers below may go nowhere.
        if let Err(error) = self.limits.check(&publish, self.connection.version()) {
            let _ = done.send(Err(error));
        } else if publish.qos == QoS::AtMostOnce {
            let queued = self.connection.queue(&Packet::Publish(publish));
            let _ = done.send(queued.map(|()| ReasonCode::Success).map_err(Into::into));
        } else {
            let (packet_id, packet) = self.driver.exchanges.publish(publish, done);
            if let Err(error) = self.connection.queue(&packet) {
                self.driver.exchanges.refuse(packet_id, error.into());
            }
        }
    }

    /// Opens an exchange and sends its packet; one that cannot be encoded is answered at once.
    fn ask(&mut self, exchange: Exchange, packet: impl FnOnce(PacketId) -> Packet) {
        let packet_id = self.driver.exchanges.begin(exchange);
        if let Err(error) = self.connection.queue(&packet(packet_id)) {
            let done = match self.driver.exchanges.answered(packet_id) {
                Some(Exchange::Subscribe { done: Some(done), .. })
                | Some(Exchange::Unsubscribe { done, .. }) => done,
                _ => return,
            };
            let _ = done.send(Err(error.into()));
        }
    }
}
