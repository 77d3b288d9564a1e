//! `options`: every field of the library's [`Options`], under the same name
//! and with the same default; times are in seconds.

use latchlight_broker::Options;
use serde::{Deserialize, Serialize};

use super::Seconds;
use super::when_full::{WhenFullConfig, WhenInlineFullConfig, WhenOfflineFullConfig};

/// Declares the section with its fields, and both ways between it and
/// [`Options`]: a field that is missing here does not compile.
macro_rules! options {
    ($($field:ident: $type:ty),* $(,)?) => {
        /// Limits and habits.
        #[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct OptionsConfig {
            $(pub(crate) $field: $type,)*
        }

        impl Default for OptionsConfig {
            fn default() -> Self {
                let Options { $($field),* } = Options::default();
                Self { $($field: $field.into()),* }
            }
        }

        impl OptionsConfig {
            /// The keys of those that are not the same there.
            pub(crate) fn differing(&self, other: &Self) -> Vec<String> {
                let mut keys = Vec::new();
                $(if self.$field != other.$field {
                    keys.push(concat!("options.", stringify!($field)).to_owned());
                })*
                keys
            }
        }

        impl From<OptionsConfig> for Options {
            fn from(config: OptionsConfig) -> Self {
                let OptionsConfig { $($field),* } = config;
                Self { $($field: $field.into()),* }
            }
        }
    };
}

options! {
    threads: usize,
    busy_poll: Seconds,
    max_packet_size: u32,
    max_user_properties: usize,
    max_partial_bytes: usize,
    connect_timeout: Seconds,
    max_connect_size: u32,
    handshake_timeout: Seconds,
    max_handshakes: usize,
    max_handshakes_per_address: usize,
    max_accept_rate: u32,
    max_accept_rate_per_address: u32,
    max_failures_per_address: u32,
    max_connects_per_client: u32,
    ban_time: Seconds,
    limit_loopback: bool,
    max_connections: usize,
    max_connections_per_address: usize,
    max_sessions: usize,
    max_session_expiry: Seconds,
    max_keep_alive: u16,
    receive_maximum: u16,
    max_in_flight: u16,
    max_queued_messages: usize,
    max_queued_bytes: usize,
    max_waiting_bytes: usize,
    when_full: WhenFullConfig,
    when_full_offline: WhenOfflineFullConfig,
    high_water: usize,
    stalled_after: Seconds,
    max_pause: Seconds,
    stalled_limit: Seconds,
    max_subscriptions: usize,
    max_shared_subscriptions: usize,
    max_subscription_bytes: usize,
    max_topic_levels: usize,
    topic_alias_maximum: u16,
    response_information: Option<String>,
    max_retained_messages: usize,
    max_retained_bytes: usize,
    max_store_backlog: usize,
    inline_queue: usize,
    when_full_inline: WhenInlineFullConfig,
    sys_interval: Seconds,
    measure_latency: bool,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use latchlight_broker::document;

    use super::*;

    #[test]
    fn the_documentation_has_every_option_with_its_default() {
        let page = include_str!("../../../../docs/broker.md");
        let table = page.split_once("| option | default |").unwrap().1;
        let table = table.split("\n\n").next().unwrap();
        let documented: Vec<(&str, &str)> = table
            .lines()
            .filter_map(|row| row.strip_prefix("| `")?.split_once("` | "))
            .map(|(name, rest)| (name, rest.split(" | ").next().unwrap()))
            .collect();
        let defaults = document::to_yaml(&OptionsConfig::default()).unwrap();
        let defaults: Vec<(&str, &str)> =
            defaults.lines().map(|line| line.split_once(": ").unwrap()).collect();
        assert_eq!(documented.len(), defaults.len());
        for ((name, value), (field, default)) in documented.into_iter().zip(defaults) {
            assert_eq!(name, field);
            // That one depends on the machine.
            if name != "threads" {
                assert_eq!(value, default.trim_end_matches(".0"), "{name}");
            }
        }
    }
}
