//! Which messages are kept for their topics, and which no more.

use std::sync::Arc;

use bytes::Bytes;
use latchlight_mqtt::{Properties, QoS, ReasonCode};

use crate::access::PublishRequest;
use crate::batch::Batch;
use crate::broker::Core;
use crate::hooks::Notice;
use crate::message::{Forward, Message};
use crate::sys::is_system;
use crate::tally::Outcome;
use crate::{ClientInfo, DropReason};

impl Core {
    /// What was allowed when a message came may be forbidden since it is kept:
    /// then it is not kept.
    pub(crate) fn recheck_retained(&self, client: &ClientInfo, request: &PublishRequest<'_>) {
        if self.authorize_publish(client, request).is_err() {
            self.remove_retained(request.topic);
        }
    }

    /// Forgets the retained message of a topic; true if there was one. The
    /// observers are told by whoever calls this.
    pub(crate) fn remove_retained(&self, topic: &str) -> bool {
        let mut retained = self.shelf(topic).lock();
        let known = retained.remove(topic).is_some();
        if !known {
            return false;
        }
        if let Some(recorder) = self.recorder.as_ref().filter(|_| !is_system(topic)) {
            recorder.not_retained(topic);
        }
        if self.hooks.wants.messages {
            // As when a client publishes nothing in its place.
            let nothing = Message {
                topic: topic.into(),
                payload: Bytes::new(),
                qos: QoS::AtMostOnce,
                retain: true,
                properties: Properties::new(),
                expires_at: None,
            };
            self.hooks.note(None, Notice::Retained(Arc::new(nothing)));
        }
        true
    }

    /// Keeps a retained message.
    ///
    /// # Errors
    /// There is no room for it, or the store cannot write; that is counted and
    /// told here.
    pub(crate) fn retain(
        &self,
        forward: &Forward<'_>,
        publisher: Option<&Arc<ClientInfo>>,
        batch: &mut Batch,
    ) -> Result<(), Outcome> {
        let message = forward.keep();
        let mut retained = self.shelf(forward.topic()).lock();
        if forward.is_own {
            retained.set_own(message.clone());
        } else if self.recorder.as_ref().is_some_and(|recorder| recorder.is_full()) {
            return Err(self.refuse_for_store(forward));
        } else if retained.set(message.clone(), &self.options).is_err() {
            self.counters.retained_refused.one();
            self.note_dropped(forward, DropReason::RetainedFull);
            return Err(ReasonCode::QuotaExceeded.into());
        }
        if let Some(recorder) = self.recorder.as_ref().filter(|_| !is_system(&message.topic)) {
            // Still locked: the store gets them in the same order.
            batch.acknowledge_after(recorder.retained(&message));
        }
        if self.hooks.wants.messages {
            self.hooks.note(publisher, Notice::Retained(message));
        }
        Ok(())
    }
}
