//! Retained messages, as an administrator sees them.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use latchlight_mqtt::{Properties, QoS, TopicFilter};

use crate::Broker;
use crate::broker::Core;
use crate::message::Message;
use crate::topics::Page;

/// A retained message at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedMessage {
    /// Where it was published.
    pub topic: ByteString,
    /// What.
    pub payload: Bytes,
    /// How often.
    pub qos: QoS,
    /// MQTT 5; an expiry is what is left of it.
    pub properties: Properties,
}

/// Goes through retained messages in the order of their topics, a page at a
/// time: what comes or goes meanwhile may be in it or not.
pub struct RetainedMessages {
    core: Arc<Core>,
    filter: TopicFilter,
    page: std::vec::IntoIter<Arc<Message>>,
    /// Where the next page begins; nothing: there is no other.
    after: Option<ByteString>,
}

impl Iterator for RetainedMessages {
    type Item = RetainedMessage;

    fn next(&mut self) -> Option<RetainedMessage> {
        let message = self.next_message()?;
        Some(RetainedMessage {
            topic: message.topic.clone(),
            payload: message.payload.clone(),
            qos: message.qos,
            properties: message.properties_at(self.core.clock.now()),
        })
    }
}

impl RetainedMessages {
    fn next_message(&mut self) -> Option<Arc<Message>> {
        loop {
            if let Some(message) = self.page.next() {
                return Some(message);
            }
            let after = self.after.take()?;
            let shelf = self.core.shelf(self.filter.filter());
            let Page { found, after } =
                shelf.lock().page(&self.filter, &after, self.core.clock.now());
            self.page = found.into_iter();
            self.after = after;
        }
    }
}

impl Broker {
    /// The retained messages that a filter matches; those of `$SYS` by a filter
    /// that begins so.
    pub fn retained(&self, filter: &TopicFilter) -> RetainedMessages {
        self.retained_after(filter, "")
    }

    /// The same behind this topic, in the order of topics: to go on where a
    /// page has ended.
    pub fn retained_after(&self, filter: &TopicFilter, topic: &str) -> RetainedMessages {
        RetainedMessages {
            core: self.core.clone(),
            filter: filter.clone(),
            page: Vec::new().into_iter(),
            after: Some(topic.into()),
        }
    }

    /// Forgets the retained message of a topic; true if there was one. With
    /// an access hook that refuses the topic from before this is called, none
    /// is kept there afterwards.
    pub fn forget_retained(&self, topic: &str) -> bool {
        let was_there = self.core.remove_retained(topic);
        self.core.hooks.tell();
        was_there
    }

    /// Forgets the retained messages that a filter matches; gives how many.
    pub fn clear_retained(&self, filter: &TopicFilter) -> usize {
        let mut messages = self.retained(filter);
        let topics = std::iter::from_fn(|| Some(messages.next_message()?.topic.clone()));
        topics.filter(|topic| self.forget_retained(topic)).count()
    }
}
