//! `limits`: how fast connections may come, to HTTP and MQTT alike.

use serde::Deserialize;

/// How fast connections may come, each listener's protocol by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Connections per second from one address, ten seconds' worth of which
    /// may come at once; what comes beyond is closed before anything is read.
    /// 0: any number.
    pub accept_rate_per_address: u32,
    /// Whether that, and the broker's bans, hold for loopback addresses too.
    pub loopback: bool,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self { accept_rate_per_address: 100, loopback: false }
    }
}
