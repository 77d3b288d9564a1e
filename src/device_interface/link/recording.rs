//! What is listened to for the record of messages alone: nothing acts on it.

use std::sync::Arc;

use bytes::Bytes;
use latchlight_broker::InlineSubscription;
use latchlight_mqtt::{QoS, TopicFilter};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

use super::GATEWAY_ID;
use crate::config::MessageSettings;

/// How many bytes of payloads may wait for the record, and how many messages.
const WAITING_BYTES: usize = 64 * 1024 * 1024;
const WAITING: usize = 1024;

/// A message on one of the topics that are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Where it was published.
    pub topic: Arc<str>,
    /// What.
    pub payload: Bytes,
    /// How it was published, as far as the link was told.
    pub qos: QoS,
    /// Whether the broker was to keep it.
    pub retain: bool,
    /// A media type.
    pub content_type: Option<String>,
    /// Names and values.
    pub properties: Vec<(String, String)>,
}

/// Which topics are recorded, and who writes down what comes there; cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct Recording {
    filters: Arc<[TopicFilter]>,
    max_bytes: usize,
    heard: mpsc::Sender<Heard>,
    /// Those that are not on record, for each that was not.
    pub lost: Counter,
}

impl Recording {
    /// What the settings name, and what is heard of it.
    pub fn new(settings: &MessageSettings) -> (Self, mpsc::Receiver<Heard>) {
        let filters = settings.record.iter();
        let filters = filters.filter_map(|f| TopicFilter::try_from(f.as_str()).ok()).collect();
        let max_bytes = settings.max_bytes;
        let waiting = (WAITING_BYTES / max_bytes).clamp(1, WAITING);
        let (heard, receiver) = mpsc::channel(waiting);
        (Self { filters, max_bytes, heard, lost: Counter::default() }, receiver)
    }

    /// The filters to subscribe to.
    pub fn filters(&self) -> &[TopicFilter] {
        &self.filters
    }

    /// Whether messages on this topic are recorded.
    pub fn is_on(&self, topic: &str) -> bool {
        self.filters.iter().any(|filter| filter.matches(topic))
    }

    /// Hands on what is only recorded. What the gateway has sent is on record as
    /// such.
    pub(super) async fn listen(self, mut messages: InlineSubscription) {
        while let Some(message) = messages.next().await {
            let of = &message.properties;
            let is_own = message.publisher.is_none()
                && of.user_properties.iter().any(|(name, _)| &**name == GATEWAY_ID);
            if is_own {
                continue;
            }
            let properties = of.user_properties.iter();
            let heard = Heard {
                topic: (*message.topic).into(),
                qos: message.qos,
                retain: message.retain,
                content_type: of.content_type.as_deref().map(str::to_owned),
                properties: properties.map(|(k, v)| (k.to_string(), v.to_string())).collect(),
                payload: message.payload,
            };
            if !self.hear(heard).await {
                return;
            }
        }
    }

    /// Has a message recorded; waits while there is no room. False: nobody
    /// records any more.
    async fn hear(&self, heard: Heard) -> bool {
        if !self.fits(&heard) {
            return true;
        }
        self.heard.send(heard).await.is_ok()
    }

    /// The same without waiting: where there is no room, it is lost, and counted.
    pub fn hear_now(&self, heard: Heard) {
        if !self.fits(&heard) {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(heard)) = self.heard.try_send(heard) {
            self.lose(&heard.topic, "more came than can be written");
        }
    }

    fn fits(&self, heard: &Heard) -> bool {
        let fits = heard.payload.len() <= self.max_bytes;
        if !fits {
            self.lose(&heard.topic, "it is larger than messages.max_bytes");
        }
        fits
    }

    fn lose(&self, topic: &str, why: &str) {
        self.lost.inc();
        tracing::warn!(topic, why, "a message that was received is not on record");
    }
}
