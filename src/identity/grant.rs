//! What an account may do to which devices, and when.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Window;
use crate::commands::Verb;
use crate::config::GrantedDevice;
use crate::state::DeviceId;

/// Some verbs, for some devices, for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountGrant {
    /// What may be done: `lock`, `unlock`, `on`, `off`; none: see them only.
    pub actions: Vec<Verb>,
    /// To which devices; `*` is every one, also one that joins later.
    #[schema(min_items = 1)]
    pub devices: Vec<GrantedDevice>,
    /// When; without it, always.
    #[serde(default)]
    pub window: Window,
    /// Since when it is there, of an account's: what a guest may know of the
    /// past begins then. Nobody says it but the directory.
    #[serde(skip)]
    pub since: Option<Timestamp>,
}

impl AccountGrant {
    /// Everything, everywhere, always: what a member has unless told
    /// otherwise.
    pub fn everything() -> Self {
        Self {
            actions: vec![Verb::Lock, Verb::Unlock, Verb::On, Verb::Off],
            devices: vec![GrantedDevice::Every],
            window: Window::default(),
            since: None,
        }
    }

    /// Whether it is that, whenever it was given.
    pub fn is_everything(&self) -> bool {
        *self == Self { since: self.since, ..Self::everything() }
    }

    /// Whether this may be done to that device at this moment.
    pub fn allows(&self, verb: Verb, device: &DeviceId, now: Timestamp) -> bool {
        self.actions.contains(&verb) && self.shows(device, now)
    }

    /// Whether the device may be seen at this moment.
    pub fn shows(&self, device: &DeviceId, now: Timestamp) -> bool {
        self.is_about(device) && self.window.holds(now)
    }

    /// Whether every device may be seen at this moment.
    pub fn shows_every(&self, now: Timestamp) -> bool {
        self.devices.contains(&GrantedDevice::Every) && self.window.holds(now)
    }

    /// Whether it shows no device and no moment that the other does not.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let is_every = other.devices.contains(&GrantedDevice::Every);
        self.window == other.window
            && (is_every || self.devices.iter().all(|device| other.devices.contains(device)))
    }

    /// Whether it is about this device, now or at another time.
    pub fn is_about(&self, device: &DeviceId) -> bool {
        self.devices.iter().any(|granted| granted.is(device))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_about_its_verbs_and_its_devices() {
        let grant: AccountGrant =
            serde_json::from_str(r#"{"actions": ["unlock"], "devices": ["front"]}"#).unwrap();
        let (front, back) = ("front".parse().unwrap(), "back".parse().unwrap());
        let now = Timestamp::now();
        assert!(grant.allows(Verb::Unlock, &front, now));
        assert!(!grant.allows(Verb::Lock, &front, now));
        assert!(!grant.allows(Verb::Unlock, &back, now));
        assert!(AccountGrant::everything().allows(Verb::Off, &back, now));
    }

    #[test]
    fn a_grant_that_is_over_shows_nothing_either() {
        let grant: AccountGrant = serde_json::from_str(
            r#"{"actions": [], "devices": ["*"], "window": {"until": "2020-01-01T00:00:00Z"}}"#,
        )
        .unwrap();
        assert!(!grant.shows(&"front".parse().unwrap(), Timestamp::now()));
    }
}
