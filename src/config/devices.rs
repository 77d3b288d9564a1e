//! `devices`: what config.json alone can say of a device.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::{GrantedDevice, value};
use crate::commands::Verb;
use crate::state::DeviceId;

/// What one device may do beyond its kind, and its topics where they are of
/// another shape than `<base>/up` and `<base>/down`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceSettings {
    /// Which other devices it may operate.
    #[serde(deserialize_with = "value::list")]
    pub grants: Vec<Grant>,
    /// Of which devices it is told the alerts, where it asks for them, beside its
    /// own and those of devices that it may operate; `*` is all that there are.
    #[serde(deserialize_with = "value::list")]
    pub alerts: Vec<GrantedDevice>,
    /// Its own pair of topics.
    pub topics: Option<DeviceTopics>,
}

/// A device may operate others: a keypad, a remote.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What it may do: `lock`, `unlock`, `on`, `off`.
    pub actions: Vec<Verb>,
    /// To which devices.
    pub devices: Vec<DeviceId>,
    /// Only for a person whose PIN code was typed: for a keypad, which anybody
    /// may take off the wall and have a look into.
    #[serde(default)]
    pub pin: bool,
}

/// A pair of topics of any shape.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceTopics {
    /// Where the device speaks.
    pub up: String,
    /// Where it listens.
    pub down: String,
}

impl DeviceSettings {
    /// Whether the device may do this to that one by itself.
    pub fn grants(&self, verb: Verb, device: &DeviceId) -> bool {
        self.grants.iter().any(|grant| !grant.pin && grant.is_about(verb, device))
    }

    /// Whether the device may ask for this on behalf of a person whose PIN code
    /// it shows.
    pub fn grants_with_pin(&self, verb: Verb, device: &DeviceId) -> bool {
        self.grants.iter().any(|grant| grant.is_about(verb, device))
    }
}

impl DeviceSettings {
    /// Whether the device hears alerts about that one, or about none.
    pub fn hears_alerts_about(&self, device: Option<&DeviceId>) -> bool {
        let Some(device) = device else { return self.alerts.contains(&GrantedDevice::Every) };
        self.alerts.iter().any(|granted| granted.is(device))
            || self.grants.iter().any(|grant| grant.devices.contains(device))
    }
}

impl Grant {
    fn is_about(&self, verb: Verb, device: &DeviceId) -> bool {
        self.actions.contains(&verb) && self.devices.contains(device)
    }
}

/// A topic of two devices would have one do what the other is told.
pub(super) fn check_topics(
    prefix: &str,
    devices: &BTreeMap<DeviceId, DeviceSettings>,
) -> Result<(), String> {
    let mut owners = HashMap::new();
    for (id, device) in devices {
        let Some(topics) = &device.topics else { continue };
        crate::device_interface::topic_rules::check_pair(prefix, topics)
            .map_err(|error| format!("devices.{id}.topics: {error}"))?;
        for topic in [&topics.up, &topics.down] {
            if let Some(owner) = owners.insert(topic, id) {
                return Err(format!("devices.{id}.topics: `{topic}` is a topic of {owner}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::load::tests::load;

    #[test]
    fn a_grant_names_actions_and_devices() {
        let section = r#"{"devices": {"keypad": {"grants": [
            {"actions": ["unlock"], "devices": ["front-door"]}]}}}"#;
        let settings = load(section, &[]).expect("grant");
        let keypad = settings.devices.values().next().expect("keypad");
        let door = "front-door".parse().expect("id");
        assert!(keypad.grants(crate::commands::Verb::Unlock, &door));
        assert!(!keypad.grants(crate::commands::Verb::Lock, &door));
        let error = load(
            r#"{"devices": {"keypad": {"grants": [{"actions": ["toggle"], "devices": []}]}}}"#,
            &[],
        )
        .expect_err("toggle");
        assert!(error.contains("devices.keypad.grants[0].actions[0]"), "{error}");
    }

    #[test]
    fn no_two_devices_have_a_topic_in_common() {
        let with = |up: &str, down: &str| {
            let pair = |up: &str, down: &str| {
                format!(r#"{{"topics": {{"up": "{up}", "down": "{down}"}}}}"#)
            };
            let (front, garden) = (pair("a/up", "a/down"), pair(up, down));
            load(&format!(r#"{{"devices": {{"front": {front}, "garden": {garden}}}}}"#), &[])
        };
        assert!(with("b/up", "b/down").is_ok());
        for (up, down) in [("b/up", "a/down"), ("a/up", "b/down"), ("a/down", "b/down")] {
            let error = with(up, down).expect_err("a topic twice");
            assert!(
                error.contains("devices.garden.topics") && error.contains("of front"),
                "{error}"
            );
        }
    }
}
