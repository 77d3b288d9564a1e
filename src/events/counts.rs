//! What became of events, for Prometheus.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// The events that are not on record one by one.
#[derive(Debug, Default)]
pub(super) struct Counts {
    lost: Counter,
    /// Those among them that the record has not been told of.
    untold: AtomicU64,
    gathered: Counter,
}

impl Counts {
    pub(super) fn lost(&self, events: u64) {
        self.lost.inc_by(events);
        self.untold.fetch_add(events, Ordering::Relaxed);
    }

    /// How many were lost since this was asked.
    pub(super) fn take_lost(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }

    pub(super) fn gathered(&self) {
        self.gathered.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Events that are not on record, for too many came at once";
        registry.register("events_lost", help, self.lost.clone());
        let help = "Refusals that are on record as a number, for they were like others";
        registry.register("refusals_gathered", help, self.gathered.clone());
    }
}
