//! Wills: what a client has left to be published when it is gone.

use std::sync::Arc;

use latchlight_mqtt::{ReasonCode, Will};

use crate::access::PublishRequest;
use crate::broker::Core;
use crate::hooks::Notice;
use crate::message::{Forward, Message};
use crate::{ClientInfo, DropReason, Time};

/// A will that was not published yet.
#[derive(Debug, Clone)]
pub(crate) struct PendingWill {
    message: Message,
    /// How long it waits after its connection, in ms.
    pub(crate) delay: Time,
    client: Arc<ClientInfo>,
}

impl PendingWill {
    pub(crate) fn new(will: &Will, client: &Arc<ClientInfo>) -> Self {
        let mut properties = will.properties.clone();
        let delay = u64::from(properties.will_delay_interval.unwrap_or(0)) * 1000;
        if !properties.is_empty() {
            properties.make_mut().will_delay_interval = None;
        }
        let message = Message {
            topic: will.topic.as_byte_string().clone(),
            payload: will.payload.clone(),
            qos: will.qos,
            retain: will.retain,
            properties,
            expires_at: None,
        };
        Self { message, delay, client: client.clone() }
    }

    /// One of an earlier run.
    pub(crate) fn restored(message: Message, delay: Time, client: ClientInfo) -> Self {
        Self { message, delay, client: Arc::new(client) }
    }

    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    pub(crate) fn client(&self) -> &ClientInfo {
        &self.client
    }
}

impl Core {
    /// Publishes a will; its expiry begins now, and what its client may do was
    /// perhaps changed since it connected.
    pub(crate) fn publish_will(&self, will: PendingWill) {
        let PendingWill { mut message, client, .. } = will;
        if self.authorize_publish(&client, &request(&message)).is_err() {
            self.counters.publishes_refused.one();
            if self.hooks.wants.messages {
                let reason = DropReason::Refused(ReasonCode::NotAuthorized);
                self.hooks.note(None, Notice::PublishDropped(Arc::new(message), reason));
            }
            return;
        }
        let now = self.clock.now();
        let interval = message.properties.message_expiry_interval;
        message.expires_at = interval.map(|seconds| now + u64::from(seconds) * 1000);
        let message = Arc::new(message);
        self.publish_and_flush(&Forward::of_message(&message, now), None, false);
        self.hooks.note(Some(&client), Notice::WillSent(message.clone()));
        if message.retain {
            self.recheck_retained(&client, &request(&message));
        }
    }
}

fn request(will: &Message) -> PublishRequest<'_> {
    PublishRequest { topic: &will.topic, qos: will.qos, retain: will.retain, will: true }
}
