//! What became of events, for Prometheus. The end of a command is recorded by
//! the table of commands, and counted there.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Kind;

/// The events that came to the record.
#[derive(Debug, Default)]
pub(super) struct Counts {
    recorded: Family<[(&'static str, &'static str); 1], Counter>,
    write_errors: Counter,
    lost: Counter,
    /// Those among them that the record has not been told of.
    untold: AtomicU64,
    gathered: Counter,
    observations: Counter,
}

impl Counts {
    /// An event is on disk.
    pub(super) fn recorded(&self, kind: Kind) {
        self.recorded.get_or_create(&[("kind", kind.as_str())]).inc();
    }

    pub(super) fn write_failed(&self) {
        self.write_errors.inc();
    }

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

    pub(super) fn observation_gathered(&self) {
        self.observations.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Events that are on record, by what they are about";
        registry.register("events", help, self.recorded.clone());
        let help = "Writes of events that failed, and are made again";
        registry.register("event_write_errors", help, self.write_errors.clone());
        let help = "Events that are not on record, for too many came at once";
        registry.register("events_lost", help, self.lost.clone());
        let help = "Refusals that are on record as a number, for they were like others";
        registry.register("refusals_gathered", help, self.gathered.clone());
        let help = "Changes of states, comings, goings and alerts that are on record as a number";
        registry.register("observations_gathered", help, self.observations.clone());
    }
}
