//! What is counted, as JSON.

use serde::Serialize;

use crate::CountersSnapshot;
use crate::administration::Census;
use crate::broker::Core;

/// The statistics at one moment.
#[derive(Debug, Serialize)]
pub(super) struct Stats {
    version: &'static str,
    /// In seconds.
    uptime: u64,
    #[serde(flatten)]
    counters: CountersSnapshot,
    /// What waits in all sessions together.
    waiting: Census,
}

impl Stats {
    pub(super) fn of(core: &Core) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime: core.clock.now() / 1000,
            counters: core.counters_snapshot(),
            waiting: core.census(),
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("numbers can be written as JSON");
        json.push('\n');
        json
    }
}
