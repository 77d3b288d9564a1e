//! Which devices can be reached: by their sessions in the embedded broker,
//! by what they say of themselves on an outside one.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::link::Link;
use crate::state::{Device, DeviceId};

/// How long a device that never told its presence counts as reachable after
/// it was last heard.
const HEARD_FOR: Duration = Duration::from_secs(15 * 60);

/// How many that have not joined are remembered: their hand shake may come
/// after they have told that they are there.
const STRANGERS: usize = 10_000;

/// What devices said on their `online` topics.
#[derive(Default)]
pub struct Presence {
    told: Mutex<HashMap<DeviceId, bool>>,
}

impl Presence {
    /// A device says whether it is there, or its will does; `joined` tells
    /// whether it is in the roster.
    pub fn tell(&self, device: &DeviceId, online: bool, joined: bool) {
        let mut told = self.told.lock();
        if joined || told.len() < STRANGERS {
            told.insert(device.clone(), online);
        }
    }

    /// The device is gone for good, or the broker is.
    pub fn forget(&self, device: &DeviceId) {
        self.told.lock().remove(device.as_str());
    }

    /// Whether a device can be reached now.
    pub fn of(&self, device: &Device, link: &dyn Link) -> bool {
        self.known(&device.id, link).unwrap_or_else(|| {
            device.last_heard.is_some_and(|heard| {
                let ago = Timestamp::now().duration_since(heard);
                ago.unsigned_abs() < HEARD_FOR
            })
        })
    }

    /// Whether a device that was heard just now can be reached.
    pub(super) fn of_speaker(&self, device: &DeviceId, link: &dyn Link) -> bool {
        self.known(device, link).unwrap_or(true)
    }

    fn known(&self, device: &DeviceId, link: &dyn Link) -> Option<bool> {
        link.presence(device).or_else(|| self.told.lock().get(device.as_str()).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_remembered_up_to_a_bound_and_who_has_joined_always() {
        let presence = Presence::default();
        let id = |number: usize| format!("d{number}").parse::<DeviceId>().expect("an id");
        for number in 0..=STRANGERS {
            presence.tell(&id(number), true, false);
        }
        assert_eq!(presence.told.lock().len(), STRANGERS);
        presence.tell(&id(STRANGERS), true, true);
        assert!(presence.told.lock().contains_key(&id(STRANGERS)));
    }
}
