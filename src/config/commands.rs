//! `commands`: how long a command lives, and how long it is kept on record.

use std::time::Duration;

use serde::Deserialize;

/// The settings of commands.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommandSettings {
    /// Seconds from the issue of a command to its expiry, 1 to 300.
    pub expires_in: u64,
    /// How many commands an account, a device or a plugin may give in a minute,
    /// all of them at once if it likes; those that lock are counted by
    /// themselves. 0: any number.
    pub per_minute: u32,
    /// How many commands may wait for one device behind the one that is out.
    pub waiting_per_device: usize,
    /// For how many days a command that has ended is kept on record.
    pub kept_days: u32,
    /// How many that have ended are kept, at the most; the oldest go.
    pub kept: u64,
}

impl Default for CommandSettings {
    fn default() -> Self {
        Self {
            expires_in: 10,
            per_minute: 600,
            waiting_per_device: 8,
            kept_days: 90,
            kept: 1_000_000,
        }
    }
}

impl CommandSettings {
    /// From the issue of a command to its expiry.
    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(self.expires_in)
    }

    /// From the end of a command to its removal from the record.
    pub fn kept_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.kept_days) * 24 * 60 * 60)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=300).contains(&self.expires_in) {
            return Err(format!(
                "commands.expires_in: {} is not 1 to 300 seconds",
                self.expires_in
            ));
        }
        if self.per_minute > 1_000_000 {
            return Err(format!("commands.per_minute: {} is more than 1000000", self.per_minute));
        }
        if !(1..=1000).contains(&self.waiting_per_device) {
            return Err(format!(
                "commands.waiting_per_device: {} is not 1 to 1000",
                self.waiting_per_device
            ));
        }
        if !(1..=36_500).contains(&self.kept_days) {
            return Err(format!("commands.kept_days: {} is not 1 to 36500", self.kept_days));
        }
        if self.kept == 0 {
            return Err("commands.kept: 0 is less than 1".to_owned());
        }
        Ok(())
    }
}
