//! Wills: what a client has left to be published when it is gone.

use std::sync::Arc;

use bytes::Bytes;
use latchlight_mqtt::{ReasonCode, Will};

use crate::access::PublishRequest;
use crate::broker::Core;
use crate::hooks::{Notice, call};
use crate::message::{Forward, Message};
use crate::{ClientInfo, DropReason, Publication, Time};

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
        // In memory of its own: it would keep all of CONNECT.
        let mut properties = will.properties.detached();
        let delay = u64::from(properties.will_delay_interval.unwrap_or(0)) * 1000;
        if !properties.is_empty() {
            properties.make_mut().will_delay_interval = None;
        }
        let message = Message {
            topic: will.topic.as_str().into(),
            payload: Bytes::copy_from_slice(&will.payload),
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
        let now = self.clock.now();
        let PendingWill { message, client, .. } = will;
        let message = match self.take_will(message, &client, now) {
            Ok(message) => Arc::new(message),
            Err((message, reason)) => {
                self.counters.publishes_refused.one();
                if self.hooks.wants.messages {
                    self.hooks.note(None, Notice::PublishDropped(Arc::new(message), reason));
                }
                return;
            }
        };
        self.publish_and_flush(&Forward::of_message(&message, now), None, false);
        self.hooks.note(Some(&client), Notice::WillSent(message.clone()));
        if message.retain {
            self.recheck_retained(&client, &request(&message));
        }
    }
}

impl Core {
    /// The will as it is published.
    ///
    /// # Errors
    /// It is not, and why.
    fn take_will(
        &self,
        mut message: Message,
        client: &Arc<ClientInfo>,
        now: Time,
    ) -> Result<Message, (Message, DropReason)> {
        if self.hooks.steps.will
            && let Some(mut will) = Publication::of(&message)
        {
            if let Err(stop) = self.hooks.will(client, &mut will) {
                let reason = stop.reason().map_or(DropReason::Intercepted, DropReason::Refused);
                return Err((message, reason));
            }
            if let Err(reason) = will.check(self) {
                return Err((message, DropReason::Refused(reason)));
            }
            message = will.into_message(now);
        }
        let interval = message.properties.message_expiry_interval;
        message.expires_at = interval.map(|seconds| now + u64::from(seconds) * 1000);
        let asked =
            call("authorize_publish", || self.authorize_publish(client, &request(&message)));
        match asked {
            Ok(Ok(())) => Ok(message),
            Ok(Err(refusal)) => Err((message, DropReason::Refused(refusal.reason()))),
            Err(_) => Err((message, DropReason::Refused(ReasonCode::UnspecifiedError))),
        }
    }
}

fn request(will: &Message) -> PublishRequest<'_> {
    PublishRequest { topic: &will.topic, qos: will.qos, retain: will.retain, will: true }
}
