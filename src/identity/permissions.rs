//! Who may call an action, and who may operate a device.

use std::collections::BTreeMap;
use std::sync::Arc;

use latchlight_plugin_api::{ActionInfo, Caller};

use crate::commands::Verb;
use crate::config::DeviceSettings;
use crate::state::DeviceId;

/// What config.json grants; cheap to clone.
#[derive(Clone, Default)]
pub struct Permissions {
    devices: Arc<BTreeMap<DeviceId, DeviceSettings>>,
}

impl Permissions {
    /// The grants of these settings.
    pub fn new(devices: BTreeMap<DeviceId, DeviceSettings>) -> Self {
        Self { devices: Arc::new(devices) }
    }

    /// Whether this caller may call an action; `joined` tells whether a
    /// device is in the roster.
    ///
    /// # Errors
    /// It may not, and why.
    pub fn may_call(&self, info: &ActionInfo, caller: &Caller, joined: bool) -> Result<(), String> {
        let name = &info.name;
        let callers = info.callers;
        match caller {
            Caller::Device(_) if callers.unjoined_devices => Ok(()),
            Caller::Device(id) if (callers.devices || callers.granted_devices) && !joined => {
                Err(format!("`{id}` has not joined: say `hand_shake <kind>` first"))
            }
            // Whether it is granted is decided device by device, and recorded.
            Caller::Device(_) if callers.devices || callers.granted_devices => Ok(()),
            Caller::Device(_) => Err(format!("a device may not `{name}`")),
            Caller::App(_) if callers.apps => Ok(()),
            Caller::App(_) => Err(format!("an app may not `{name}`")),
            Caller::Plugin(_) if callers.apps => Ok(()),
            Caller::Plugin(_) => Err(format!("a plugin may not `{name}`")),
            _ => Err(format!("`{name}` is not for whoever speaks there")),
        }
    }

    /// Whether this caller may have this done to that device (rule 7: a
    /// device operates no other unless config.json grants it).
    ///
    /// # Errors
    /// It may not, and why.
    pub fn may_operate(
        &self,
        caller: &Caller,
        verb: Verb,
        device: &DeviceId,
    ) -> Result<(), String> {
        match caller {
            Caller::App(_) => Ok(()),
            // What a plugin is granted was checked where it asked.
            Caller::Plugin(_) => Ok(()),
            Caller::Device(id) => {
                let granted = self.devices.get(id.as_str()).is_some_and(|s| s.grants(verb, device));
                if granted {
                    Ok(())
                } else {
                    Err(format!("config.json does not grant {id} to `{verb}` {device}"))
                }
            }
            _ => Err(format!("nobody known asked to `{verb}` {device}")),
        }
    }
}
