//! `devices`: what config.json alone can say of a device.

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
