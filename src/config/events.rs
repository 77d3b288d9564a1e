//! `events`: how long what happened is kept on record.

use std::time::Duration;

use serde::Deserialize;

/// The settings of events.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventSettings {
    /// For how many days an event is kept on record.
    pub kept_days: u32,
    /// How many are kept, at the most; the oldest go.
    pub kept: u64,
}

impl Default for EventSettings {
    fn default() -> Self {
        Self { kept_days: 365, kept: 1_000_000 }
    }
}

impl EventSettings {
    /// From an event to its removal from the record.
    pub fn kept_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.kept_days) * 24 * 60 * 60)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=36_500).contains(&self.kept_days) {
            return Err(format!("events.kept_days: {} is not 1 to 36500", self.kept_days));
        }
        if self.kept < 1000 {
            return Err(format!("events.kept: {} is less than 1000", self.kept));
        }
        Ok(())
    }
}
