//! The `$SYS` topics: what the broker says of itself, under Mosquitto's names.
//!
//! They are kept apart from the retained messages of clients: in no store, and
//! in none of their bounds and counts. They have QoS 0, so that nobody gets old
//! numbers when it comes back. What is not here: `heap`, which only the program
//! knows that chose its allocator.

mod load;
mod values;

use std::sync::Arc;

use bytestring::ByteString;
use latchlight_mqtt::{Properties, QoS, ReasonCode};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::ClientInfo;
use crate::access::{PublishRequest, Refusal};
use crate::batch::Batch;
use crate::broker::Core;
use crate::message::{Forward, Message};
use crate::topics::Retained;
use load::Load;

/// Whether a topic, or a filter, is of those.
pub(crate) fn is_system(topic: &str) -> bool {
    topic.strip_prefix("$SYS").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Publishes what has changed, at each interval, until the broker stops.
pub(crate) async fn run(core: Arc<Core>) {
    if core.options.sys_interval.is_zero() {
        return;
    }
    let mut ticks = tokio::time::interval(core.options.sys_interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut load, mut told) = (Load::default(), FxHashMap::default());
    loop {
        tokio::select! {
            _ = ticks.tick() => core.publish_system(&mut load, &mut told),
            () = core.stop.cancelled() => return,
        }
    }
}

impl Core {
    /// Where the retained messages of a topic or a filter are: what begins
    /// with a wildcard reaches none of `$SYS` [MQTT-4.7.2-1].
    pub(crate) fn shelf(&self, topic: &str) -> &Mutex<Retained> {
        if is_system(topic) { &self.system } else { &self.retained }
    }

    /// Asks the access hook about a message of a client; what the broker says
    /// of itself nobody else says.
    pub(crate) fn authorize_publish(
        &self,
        client: &ClientInfo,
        request: &PublishRequest<'_>,
    ) -> Result<(), Refusal> {
        if is_system(request.topic) {
            return Err(Refusal::Ignore(ReasonCode::NotAuthorized));
        }
        self.access.authorize_publish(client, request)
    }

    fn publish_system(&self, load: &mut Load, told: &mut FxHashMap<ByteString, String>) {
        let now = self.clock.now();
        let counters = self.counters_snapshot();
        load.note(&counters, now);
        let mut batch = Batch::default();
        for (topic, value) in values::all(&counters, &self.census(), load, now) {
            if told.get(&topic) == Some(&value) {
                continue;
            }
            self.publish_value(topic.clone(), value.clone(), now, &mut batch);
            told.insert(topic, value);
        }
        batch.flush(self);
        self.hooks.tell();
    }

    fn publish_value(&self, topic: ByteString, value: String, now: u64, batch: &mut Batch) {
        let message = Arc::new(Message {
            topic,
            payload: value.into(),
            qos: QoS::AtMostOnce,
            retain: true,
            properties: Properties::new(),
            expires_at: None,
        });
        self.system.lock().set_own(message.clone());
        let route = self.index.route(&message.topic);
        if !route.is_empty() {
            self.distribute(&Forward::of_message(&message, now), &route, None, false, batch);
        }
    }
}
