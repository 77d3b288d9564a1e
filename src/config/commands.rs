//! `commands`: how long a command lives.

use std::time::Duration;

use serde::Deserialize;

/// The settings of commands.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommandSettings {
    /// Seconds from the issue of a command to its expiry, 1 to 300.
    pub expires_in: u64,
    /// How many commands may wait for one device behind the one that is out.
    pub waiting_per_device: usize,
}

impl Default for CommandSettings {
    fn default() -> Self {
        Self { expires_in: 10, waiting_per_device: 8 }
    }
}

impl CommandSettings {
    /// From the issue of a command to its expiry.
    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(self.expires_in)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=300).contains(&self.expires_in) {
            return Err(format!(
                "commands.expires_in: {} is not 1 to 300 seconds",
                self.expires_in
            ));
        }
        if !(1..=1000).contains(&self.waiting_per_device) {
            return Err(format!(
                "commands.waiting_per_device: {} is not 1 to 1000",
                self.waiting_per_device
            ));
        }
        Ok(())
    }
}
