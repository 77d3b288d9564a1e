//! Devices that join the roster, or say anew what they are.

use std::sync::Arc;

use jiff::Timestamp;

use super::roster::{MOST_DEVICES, State, StateError};
use super::saved::SavedDevice;
use super::{Device, DeviceId, DeviceKind, DeviceState, Features, LastKnown};

/// What a device says when it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    /// Who it is.
    pub id: DeviceId,
    /// What it is.
    pub kind: DeviceKind,
    /// The dialect that it speaks.
    pub profile: String,
    /// What it can do.
    pub features: Features,
    /// A base topic of its own, where it has one.
    pub base_topic: Option<String>,
}

impl State {
    /// Takes a device in, or up to date with what it said anew. When this
    /// returns, the roster on disk has it.
    ///
    /// # Errors
    /// It was known as another kind, its base topic is another's, the roster
    /// is full, or could not be saved (then it has not joined).
    pub async fn join(&self, joining: Joining) -> Result<Arc<Device>, StateError> {
        let (before, device) = self.admit(&joining)?;
        let same = before.as_ref().is_some_and(|b| SavedDevice::of(b) == SavedDevice::of(&device));
        let saved = if same {
            self.inner.writer.settled().await
        } else {
            self.inner.writer.changed().await
        };
        if let Err(error) = saved {
            let mut devices = self.inner.devices.write();
            match (devices.get_mut(joining.id.as_str()), before) {
                (Some(joined), Some(before)) => *joined = before,
                (Some(_), None) => drop(devices.remove(joining.id.as_str())),
                // Somebody has removed it meanwhile.
                (None, _) => {}
            }
            return Err(StateError::NotSaved(error));
        }
        self.mark_changed(&device.id);
        Ok(device)
    }

    fn admit(&self, joining: &Joining) -> Result<(Option<Arc<Device>>, Arc<Device>), StateError> {
        let now = Timestamp::now();
        let mut devices = self.inner.devices.write();
        if let Some(topic) = &joining.base_topic {
            let taken =
                |d: &&Arc<Device>| d.id != joining.id && d.base_topic.as_ref() == Some(topic);
            if let Some(owner) = devices.values().find(taken) {
                return Err(StateError::TopicTaken {
                    topic: topic.clone(),
                    owner: owner.id.clone(),
                });
            }
        }
        let before = devices.get(joining.id.as_str()).cloned();
        let mut device = match &before {
            Some(known) if known.kind != joining.kind => {
                return Err(StateError::OtherKind {
                    id: joining.id.clone(),
                    known: known.kind,
                    offered: joining.kind,
                });
            }
            Some(known) => Device::clone(known),
            None if devices.len() >= MOST_DEVICES => return Err(StateError::Full),
            None => new_device(joining, now),
        };
        device.profile.clone_from(&joining.profile);
        device.features = joining.features;
        device.base_topic.clone_from(&joining.base_topic);
        device.last_heard = Some(now);
        // A device that starts anew has not said its state yet.
        if device.state != DeviceState::Unknown {
            let state = std::mem::take(&mut device.state);
            device.last_known = Some(LastKnown { state, since: device.since });
            device.since = now;
        }
        let device = Arc::new(device);
        devices.insert(joining.id.clone(), device.clone());
        Ok((before, device))
    }
}

fn new_device(joining: &Joining, now: Timestamp) -> Device {
    Device {
        id: joining.id.clone(),
        kind: joining.kind,
        profile: joining.profile.clone(),
        features: joining.features,
        base_topic: joining.base_topic.clone(),
        state: DeviceState::Unknown,
        since: now,
        last_known: None,
        battery: None,
        online: false,
        last_heard: Some(now),
        joined_at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::ConfigFile;

    #[test]
    fn a_full_roster_takes_those_whom_it_knows_and_nobody_else() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("config.json");
        std::fs::write(&path, "{}").expect("write");
        let state = State::open(ConfigFile::new(path)).expect("open");
        let joining = |number: usize| Joining {
            id: format!("d{number}").parse().expect("an id"),
            kind: DeviceKind::Lock,
            profile: "words".to_owned(),
            features: Features::default(),
            base_topic: None,
        };
        for number in 0..MOST_DEVICES {
            assert!(state.admit(&joining(number)).is_ok());
        }
        assert!(matches!(state.admit(&joining(MOST_DEVICES)), Err(StateError::Full)));
        assert!(state.admit(&joining(0)).is_ok());
    }
}
