//! What became of messages, for Prometheus.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::MessageState;

/// The messages since the start.
#[derive(Debug)]
pub(super) struct Counts {
    messages: Family<[(&'static str, &'static str); 1], Counter>,
    record_errors: Counter,
}

impl Default for Counts {
    /// All of them at 0, so that the first of its kind is seen as a change.
    fn default() -> Self {
        let counts = Self { messages: Family::default(), record_errors: Counter::default() };
        for state in MessageState::ALL.into_iter().filter(|s| *s != MessageState::Waiting) {
            drop(counts.messages.get_or_create(&[("state", state.as_str())]));
        }
        counts
    }
}

impl Counts {
    /// So it ended.
    pub(super) fn note(&self, state: MessageState) {
        self.note_many(state, 1);
    }

    /// So many of them ended so.
    pub(super) fn note_many(&self, state: MessageState, many: u64) {
        self.messages.get_or_create(&[("state", state.as_str())]).inc_by(many);
    }

    /// The record did not take a write.
    pub(super) fn record_failed(&self) {
        self.record_errors.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Messages of the gateway that have come to an end, by which";
        registry.register("gateway_messages", help, self.messages.clone());
        let help = "Writes to the record of messages that failed";
        registry.register("gateway_record_errors", help, self.record_errors.clone());
    }
}
