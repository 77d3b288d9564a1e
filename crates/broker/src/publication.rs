//! A message as hooks see it.

use bytes::Bytes;
use latchlight_mqtt::{Properties, QoS, ReasonCode, TopicName};

use crate::Time;
use crate::broker::Core;
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

    /// The message, as the broker has it from now on.
    pub(crate) fn into_message(self, now: Time) -> Message {
        let Self { topic, payload, qos, retain, mut properties } = self;
        let interval = properties.message_expiry_interval;
        if !properties.is_empty() {
            let values = properties.make_mut();
            values.topic_alias = None;
            values.subscription_identifiers.clear();
        }
        Message {
            topic: topic.into(),
            payload,
            qos,
            retain,
            properties,
            expires_at: interval.map(|seconds| now + u64::from(seconds) * 1000),
        }
    }

    /// Whether the broker may publish it, now that a hook has changed it.
    ///
    /// # Errors
    /// It may not, and why.
    pub(crate) fn check(&self, core: &Core) -> Result<(), ReasonCode> {
        let size = self.topic.as_str().len() + self.payload.len();
        if size > core.options.max_packet_size as usize {
            return Err(ReasonCode::QuotaExceeded);
        }
        core.check_topic(self.topic.as_str())
    }
}
