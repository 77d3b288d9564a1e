//! The state at one moment, taken in little time and put into words later, by
//! who may take longer.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Device;
use super::saved::{SavedDevice, SavedPlugin, SavedState};

/// What is to be written, as it was at one moment.
pub(super) struct Snapshot {
    pub(super) devices: Vec<Arc<Device>>,
    pub(super) actions: BTreeMap<String, String>,
    pub(super) plugins: BTreeMap<String, SavedPlugin>,
    pub(super) removed_plugins: BTreeMap<String, String>,
}

impl Snapshot {
    /// The `state` section.
    pub(super) fn into_saved(self) -> SavedState {
        let Self { devices, actions, plugins, removed_plugins } = self;
        let saved = |device: Arc<Device>| (device.id.clone(), SavedDevice::of(&device));
        let devices = devices.into_iter().map(saved).collect();
        SavedState { devices, actions, plugins, removed_plugins }
    }
}
