//! The shape of the `state` section of config.json.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Device, DeviceId, DeviceKind, DeviceState, Features, LastKnown};

/// The `state` section: what the server writes and reads back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedState {
    /// The roster.
    #[serde(default)]
    pub(super) devices: BTreeMap<DeviceId, SavedDevice>,
    /// The actions that were registered at the last start, each with the file
    /// that it came from (`built-in`, or a plugin's).
    #[serde(default)]
    pub(super) actions: BTreeMap<String, String>,
    /// The plugins that were installed from afar, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) plugins: BTreeMap<String, SavedPlugin>,
    /// The highest version of each plugin from afar that was removed: no older
    /// one comes back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) removed_plugins: BTreeMap<String, String>,
}

/// A plugin that was installed from afar: what is loaded at the next start,
/// and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPlugin {
    /// Its version.
    pub version: String,
    /// The SHA-256 of its library.
    pub sha256: String,
    /// The signature that let it be installed, as minisign writes it.
    pub signature: String,
}

/// The plugins that the text of a `state` section says were installed from
/// afar, by name.
///
/// # Errors
/// The section is torn.
pub fn installed_plugins(section: &str) -> serde_json::Result<BTreeMap<String, SavedPlugin>> {
    serde_json::from_str::<SavedState>(section).map(|saved| saved.plugins)
}

/// One device of the roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedDevice {
    kind: DeviceKind,
    profile: String,
    #[serde(default)]
    features: Features,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_topic: Option<String>,
    joined_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_known: Option<SavedLastKnown>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedLastKnown {
    state: String,
    since: Timestamp,
}

impl SavedDevice {
    /// What is kept of a device over a restart.
    pub(super) fn of(device: &Device) -> Self {
        let last_known = match &device.state {
            DeviceState::Unknown => device
                .last_known
                .as_ref()
                .map(|known| SavedLastKnown { state: known.state.to_string(), since: known.since }),
            state => Some(SavedLastKnown { state: state.to_string(), since: device.since }),
        };
        Self {
            kind: device.kind,
            profile: device.profile.clone(),
            features: device.features,
            base_topic: device.base_topic.clone(),
            joined_at: device.joined_at,
            last_known,
        }
    }

    /// The device after a start: its state unknown until it speaks.
    ///
    /// # Errors
    /// The saved state is not one of that kind of device.
    pub(super) fn restore(self, id: DeviceId, now: Timestamp) -> Result<Device, String> {
        let last_known = match self.last_known {
            None => None,
            Some(known) => Some(LastKnown {
                state: DeviceState::parse(self.kind, &known.state)
                    .map_err(|error| format!("device {id}: {error}"))?,
                since: known.since,
            }),
        };
        Ok(Device {
            id,
            kind: self.kind,
            profile: self.profile,
            features: self.features,
            base_topic: self.base_topic,
            state: DeviceState::Unknown,
            since: now,
            last_known,
            battery: None,
            online: false,
            last_heard: None,
            joined_at: self.joined_at,
        })
    }
}
