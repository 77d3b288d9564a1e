//! `messages`: where the gateway may send, what waits, and what is kept.

use std::time::Duration;

use latchlight_mqtt::TopicFilter;
use serde::Deserialize;

use super::value;
use crate::device_interface::topic_rules;

/// The settings of the message gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessageSettings {
    /// The topic filters within which messages may be sent. What is a device's
    /// or the server's own is never among them.
    #[serde(deserialize_with = "value::list")]
    pub topics: Vec<String>,
    /// The topic filters of which everything that comes from the broker is put on
    /// record. The server does nothing else with it.
    #[serde(deserialize_with = "value::list")]
    pub record: Vec<String>,
    /// What stands before an IMEI in a topic.
    pub imei_prefix: String,
    /// The most bytes of a payload.
    pub max_bytes: usize,
    /// The most bytes of a request with a batch of messages.
    pub max_batch_bytes: usize,
    /// For how many seconds a message waits for the broker that does not say
    /// itself when it expires.
    pub queue_for: u32,
    /// How many messages may wait for the broker.
    pub outbox: usize,
    /// How many bytes of payloads may wait for it.
    pub outbox_bytes: usize,
    /// For how many days a message is kept on record.
    pub keep_days: u32,
    /// How many are kept, at the most; the oldest go.
    pub keep: u64,
    /// How many bytes of them are kept, at the most; the oldest go.
    pub keep_bytes: u64,
}

impl Default for MessageSettings {
    fn default() -> Self {
        Self {
            topics: vec!["messages/#".to_owned()],
            record: Vec::new(),
            imei_prefix: "messages/".to_owned(),
            max_bytes: 64 * 1024,
            max_batch_bytes: 8 * 1024 * 1024,
            queue_for: 24 * 60 * 60,
            outbox: 10_000,
            outbox_bytes: 64 * 1024 * 1024,
            keep_days: 90,
            keep: 10_000_000,
            keep_bytes: 4 * 1024 * 1024 * 1024,
        }
    }
}

impl MessageSettings {
    /// From a message to its removal from the record.
    pub fn kept_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.keep_days) * 24 * 60 * 60)
    }

    /// From a message to when it is not sent any more.
    pub fn queue_for(&self) -> Duration {
        Duration::from_secs(u64::from(self.queue_for))
    }

    /// What is heard twice would be done twice, and what the server says to
    /// devices has their secrets: both stand apart from what is recorded.
    pub(super) fn check_record<'a>(
        &self,
        prefix: &str,
        heard: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), String> {
        for (index, filter) in self.record.iter().enumerate() {
            topic_rules::check_recorded(prefix, filter)
                .map_err(|error| format!("messages.record[{index}]: {error}"))?;
            if let Some(other) = heard.clone().find(|other| topic_rules::overlap(filter, other)) {
                return Err(format!(
                    "messages.record[{index}]: `{filter}` overlaps with `{other}`, on which the \
                     server speaks with devices or listens already"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), String> {
        for filter in &self.topics {
            if TopicFilter::try_from(filter.as_str()).is_err() || filter.starts_with('$') {
                return Err(format!(
                    "messages.topics: `{}` is not a topic filter without `$`",
                    filter.escape_debug()
                ));
            }
        }
        let prefix = &self.imei_prefix;
        if latchlight_mqtt::TopicName::try_from(format!("{prefix}0")).is_err()
            || prefix.starts_with('$')
            || prefix.len() > 256
        {
            return Err(format!(
                "messages.imei_prefix: `{}` is not how a topic begins",
                prefix.escape_debug()
            ));
        }
        let (few, many) = (1, 1_000_000);
        for (key, value, least, most) in [
            ("max_bytes", self.max_bytes, 1, 16 * 1024 * 1024),
            ("max_batch_bytes", self.max_batch_bytes, 256, 256 * 1024 * 1024),
            ("queue_for", self.queue_for as usize, 1, 366 * 24 * 60 * 60),
            ("outbox", self.outbox, few, many),
            ("outbox_bytes", self.outbox_bytes, self.max_bytes, 1024 * 1024 * 1024),
            ("keep_days", self.keep_days as usize, 1, 36_500),
        ] {
            if !(least..=most).contains(&value) {
                return Err(format!("messages.{key}: {value} is not {least} to {most}"));
            }
        }
        if self.keep < 1000 {
            return Err(format!("messages.keep: {} is less than 1000", self.keep));
        }
        if self.keep_bytes < 1024 * 1024 {
            return Err(format!("messages.keep_bytes: {} is less than 1048576", self.keep_bytes));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_stands_apart_from_what_devices_hear_and_say() {
        let check = |filter: &str| {
            let settings =
                MessageSettings { record: vec![filter.to_owned()], ..Default::default() };
            settings.check_record("house", ["yard/+", "back/hears"].into_iter())
        };
        for filter in ["sensors/#", "sensors", "yard", "back/+/x"] {
            assert_eq!(check(filter), Ok(()), "{filter}");
        }
        for filter in [
            "",
            "#",
            "+",
            "+/x",
            "+/devices/#",
            "house",
            "house/#",
            "house/devices/front/down",
            "$SYS/#",
            "$share/a/sensors/#",
            "a/#/b",
            "yard/#",
            "yard/+",
            "yard/gate",
            "back/#",
        ] {
            let error = check(filter).unwrap_err();
            assert!(error.starts_with("messages.record[0]: `"), "{filter}: {error}");
        }
    }
}
