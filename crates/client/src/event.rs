//! What a client tells its owner.
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use latchlight_mqtt::{ConnAck, PacketId, Properties, Publish, QoS, ReasonCode, TopicFilter};
use tokio::sync::mpsc;

use crate::error::ConnectionError;

/// One thing that happened, in the order in which it happened.
#[derive(Debug)]
pub enum Event {
    /// A connection stands, the first or a later one, and the subscriptions are asked for again
    /// where the server had forgotten them.
    Connected(Box<ConnAck>),
    /// A message came.
    Message(Message),
    /// The server refused a subscription that it had granted on an earlier connection.
    SubscriptionLost {
        /// The filter that nothing comes for any more.
        filter: TopicFilter,
        /// The server's reason.
        reason: ReasonCode,
    },
    /// The connection ended, or an attempt to connect failed.
    Disconnected {
        /// Why.
        error: ConnectionError,
        /// When the next attempt comes. None: never, because another client has taken over our
        /// session, and to take it back would never end.
        retry_in: Option<Duration>,
    },
}

/// A received message.
#[derive(Debug, Clone)]
pub struct Message {
    /// The topic it was published to.
    pub topic: ByteString,
    /// What was published.
    pub payload: Bytes,
    /// The QoS it was delivered with.
    pub qos: QoS,
    /// Whether it is a retained message (or was published as one, where the subscription asked for
    /// Retain As Published).
    pub retain: bool,
    /// Whether the server says that it may have sent the message before.
    pub dup: bool,
    /// The MQTT 5 properties.
    pub properties: Properties,
    pub(crate) receipt: Option<Receipt>,
}

/// Which PUBLISH of which connection a message was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) connection: u64,
    pub(crate) packet_id: PacketId,
    pub(crate) qos: QoS,
}

impl Message {
    pub(crate) fn from_publish(publish: Publish, connection: u64) -> Self {
        Self {
            receipt: publish.packet_id.map(|packet_id| Receipt {
                connection,
                packet_id,
                qos: publish.qos,
            }),
            topic: publish.topic,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
            properties: publish.properties,
        }
    }
}

/// The events of one client. While its queue is full the client does not read from the server; once
/// it is dropped, messages are acknowledged (if that is automatic) and thrown away.
#[derive(Debug)]
pub struct Events {
    pub(crate) receiver: mpsc::Receiver<Event>,
}

impl Events {
    /// Waits for the next event; none comes any more after the client has stopped. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// Waits for the next message and passes over the other events. Cancel safe.
    pub async fn next_message(&mut self) -> Option<Message> {
        loop {
            if let Event::Message(message) = self.next().await? {
                return Some(message);
            }
        }
    }
}
