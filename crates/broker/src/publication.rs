//! A message as hooks see it.

use bytes::Bytes;
use latchlight_mqtt::{Properties, QoS, TopicName};

use crate::message::Message;

/// A message as hooks see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Where.
    pub topic: TopicName,
    /// What.
    pub payload: Bytes,
    /// How often.
    pub qos: QoS,
    /// Whether it is to be kept.
    pub retain: bool,
    /// MQTT 5; without topic alias and subscription identifiers.
    pub properties: Properties,
}

impl Publication {
    /// Nothing: a store has given back what is no topic name.
    pub(crate) fn of(message: &Message) -> Option<Self> {
        Some(Self {
            topic: TopicName::try_from(message.topic.clone()).ok()?,
            payload: message.payload.clone(),
            qos: message.qos,
            retain: message.retain,
            properties: message.properties.clone(),
        })
    }
}
