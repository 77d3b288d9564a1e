//! Who is there: what the link, and the devices themselves, say of their coming
//! and going, in the roster and on record.

use std::sync::Arc;

use super::actor::Parts;
use super::arrivals::Arrivals;
use crate::events::Event;
use crate::state::DeviceId;

/// Who is there.
pub(super) struct Attendance {
    parts: Arc<Parts>,
    arrivals: Arrivals,
}

impl Attendance {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        Self { parts, arrivals: Arrivals::default() }
    }

    /// Looks whether a device can be reached now.
    pub(super) fn look_for(&self, id: &DeviceId) {
        let Parts { state, presence, link, .. } = &*self.parts;
        let Some(device) = state.device(id) else { return };
        let online = presence.of(&device, link.as_ref());
        drop(device);
        if state.set_online(id, online) {
            self.tell_presence(id, online);
            // On an outside broker all are asked when the link comes up.
            if online && link.presence(id).is_some() {
                self.arrivals.came(id, &self.parts);
            }
        }
    }

    /// A device was heard just now.
    pub(super) fn hear(&self, id: &DeviceId) {
        let Parts { state, presence, link, .. } = &*self.parts;
        let online = presence.of_speaker(id, link.as_ref());
        if state.heard(id, online) {
            self.tell_presence(id, online);
        }
    }

    fn tell_presence(&self, id: &DeviceId, online: bool) {
        let how = if online { "online" } else { "offline" };
        tracing::info!(device = %id, "device is {how}");
        self.parts.context.events.observed(Event::of_presence(id, online));
    }

    /// A device says whether it is there, or its will does.
    pub(super) fn on_presence(&self, id: &DeviceId, online: bool) {
        let Parts { state, presence, link, .. } = &*self.parts;
        // A link that knows by itself is not told.
        if link.presence(id).is_none() {
            presence.tell(id, online, state.is_known(id.as_str()));
        }
    }

    /// The link is down: nobody can be reached.
    pub(super) fn nobody_is_there(&self) {
        let Parts { state, presence, context, .. } = &*self.parts;
        for device in state.devices() {
            presence.forget(&device.id);
            if state.set_online(&device.id, false) {
                context.events.observed(Event::of_presence(&device.id, false));
            }
        }
    }
}
