//! The roster in memory: which devices there are and what they last said.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::saved::{SavedDevice, SavedPlugin, SavedState};
use super::snapshot::Snapshot;
use super::writer::Writer;
use super::{
    ConfigFile, Device, DeviceId, DeviceKind, DeviceState, Features, FileError, LastKnown,
};

/// How many devices there may be: whoever says `hand_shake` is written to disk
/// and remembered.
const MOST_DEVICES: usize = 100_000;

/// For how many changes there is room while none has been made.
const SHRINK_TO: usize = 1024;

/// The roster of devices, shared by everything in the server; cheap to clone.
#[derive(Clone)]
pub struct State {
    inner: Arc<Inner>,
}

struct Inner {
    devices: RwLock<HashMap<DeviceId, Arc<Device>>>,
    actions: Mutex<BTreeMap<String, String>>,
    plugins: Mutex<BTreeMap<String, SavedPlugin>>,
    removed_plugins: Mutex<BTreeMap<String, String>>,
    writer: Writer,
    changed: Mutex<HashSet<DeviceId>>,
    change: Notify,
}

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

/// Why the roster could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The device is known as something else.
    #[error("{id} is known as a {known}: remove it, then join it anew as a {offered}")]
    OtherKind {
        /// The device.
        id: DeviceId,
        /// What the roster says.
        known: DeviceKind,
        /// What the hand shake said.
        offered: DeviceKind,
    },
    /// The base topic is taken.
    #[error("the base topic `{topic}` belongs to {owner}")]
    TopicTaken {
        /// The topic.
        topic: String,
        /// Whose it is.
        owner: DeviceId,
    },
    /// There are as many as may be.
    #[error("the roster is full: there are {MOST_DEVICES} devices")]
    Full,
    /// No such device.
    #[error("there is no device {0}")]
    Unknown(DeviceId),
    /// A state that this kind of device does not have.
    #[error(transparent)]
    InvalidState(#[from] super::InvalidDeviceState),
    /// The change is not on disk, and was taken back.
    #[error("save the state: {0}")]
    NotSaved(String),
}

impl State {
    /// Restores the roster from config.json and starts its writer.
    ///
    /// A `state` section that is JSON but not of the documented shape is kept
    /// aside with the whole file, said in the log, and begun anew.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or its folder cannot be written to.
    pub fn open(file: ConfigFile) -> Result<Self, FileError> {
        file.check_writable()?;
        let section = file.read()?.state;
        let saved = match serde_json::from_str::<SavedState>(&section) {
            // serde takes a list for the fields in their order.
            Ok(_) if section.starts_with('[') => set_aside(&file, "a list, not an object")?,
            Ok(saved) => saved,
            Err(error) => set_aside(&file, &error.to_string())?,
        };
        let now = Timestamp::now();
        let restored: Result<HashMap<_, _>, String> = (saved.devices.clone().into_iter())
            .map(|(id, device)| {
                device.restore(id.clone(), now).map(|device| (id, Arc::new(device)))
            })
            .collect();
        let devices = match restored {
            Ok(devices) => devices,
            Err(error) => {
                set_aside(&file, &error)?;
                HashMap::new()
            }
        };
        tracing::info!(devices = devices.len(), file = %file.path().display(), "roster restored");
        // Every device is told of anew: after a start its state is unknown.
        let changed = devices.keys().cloned().collect();
        let inner = Arc::new(Inner {
            devices: RwLock::new(devices),
            actions: Mutex::new(saved.actions),
            plugins: Mutex::new(saved.plugins),
            removed_plugins: Mutex::new(saved.removed_plugins),
            writer: Writer::new(file),
            changed: Mutex::new(changed),
            change: Notify::new(),
        });
        inner.change.notify_one();
        Ok(Self { inner })
    }

    /// Writes what changed until the process ends; one task runs this.
    /// Last known states wait up to `lazily` to share a write.
    pub async fn run_writer(self, lazily: Duration) {
        self.inner.writer.run(lazily, || self.snapshot()).await;
    }

    /// Writes what has not been written yet.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn flush(&self) -> Result<(), StateError> {
        self.inner.writer.write(&|| self.snapshot()).await.map_err(StateError::NotSaved)
    }

    /// Whether the newest write of config.json worked.
    ///
    /// # Errors
    /// What went wrong with it.
    pub fn writable(&self) -> Result<(), String> {
        self.inner.writer.last_result()
    }

    /// How many writes of config.json have failed since the start.
    pub fn failed_writes(&self) -> u64 {
        self.inner.writer.failures()
    }

    /// All devices, sorted by id.
    pub fn devices(&self) -> Vec<Arc<Device>> {
        let mut devices: Vec<_> = self.inner.devices.read().values().cloned().collect();
        devices.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        devices
    }

    /// One device.
    pub fn device(&self, id: &DeviceId) -> Option<Arc<Device>> {
        self.inner.devices.read().get(id.as_str()).cloned()
    }

    /// Whether a device of this name has joined.
    pub fn is_known(&self, id: &str) -> bool {
        self.inner.devices.read().contains_key(id)
    }

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

    /// Forgets a device; when this returns, the roster on disk has forgotten
    /// it. False: there was none.
    ///
    /// # Errors
    /// The roster could not be saved; the device is still known.
    pub async fn remove(&self, id: &DeviceId) -> Result<bool, StateError> {
        let Some(before) = self.inner.devices.write().remove(id.as_str()) else {
            return Ok(false);
        };
        if let Err(error) = self.inner.writer.changed().await {
            // It may have joined anew meanwhile.
            self.inner.devices.write().entry(id.clone()).or_insert(before);
            return Err(StateError::NotSaved(error));
        }
        self.mark_changed(id);
        Ok(true)
    }

    /// Takes what a device says of itself: the only way a state changes.
    ///
    /// # Errors
    /// The device is unknown, or the word is not one of its kind.
    pub fn report(
        &self,
        id: &DeviceId,
        word: &str,
        battery: Option<u8>,
    ) -> Result<DeviceState, StateError> {
        let now = Timestamp::now();
        let state = self.update(id, |device| {
            let state = DeviceState::parse(device.kind, word)?;
            if state != device.state {
                device.state = state.clone();
                device.since = now;
            }
            if state != DeviceState::Unknown {
                device.last_known = None;
            }
            device.battery = battery.or(device.battery);
            device.last_heard = Some(now);
            Ok(state)
        })?;
        self.inner.writer.changed_lazily();
        self.mark_changed(id);
        Ok(state)
    }

    /// Notes that a device was heard, whatever it said, and whether it can be
    /// reached; true if the latter is news.
    pub fn heard(&self, id: &DeviceId, online: bool) -> bool {
        let news = self.update(id, |device| {
            device.last_heard = Some(Timestamp::now());
            Ok(std::mem::replace(&mut device.online, online) != online)
        });
        self.mark_if(news.unwrap_or(false), id)
    }

    /// Notes whether a device can be reached; true if that is news.
    pub fn set_online(&self, id: &DeviceId, online: bool) -> bool {
        // Mostly it is none: who looks at the device meanwhile costs no copy.
        if self.device(id).is_none_or(|device| device.online == online) {
            return false;
        }
        let news =
            self.update(id, |device| Ok(std::mem::replace(&mut device.online, online) != online));
        self.mark_if(news.unwrap_or(false), id)
    }

    fn mark_if(&self, news: bool, id: &DeviceId) -> bool {
        if news {
            self.mark_changed(id);
        }
        news
    }

    /// Notes the actions of this start and the files that they came from.
    pub fn set_actions(&self, actions: BTreeMap<String, String>) {
        let before = std::mem::replace(&mut *self.inner.actions.lock(), actions.clone());
        if before != actions {
            self.inner.writer.changed_lazily();
        }
    }

    /// The plugins that were installed from afar, by name.
    pub fn plugins(&self) -> BTreeMap<String, SavedPlugin> {
        self.inner.plugins.lock().clone()
    }

    /// The highest versions of the plugins from afar that were removed, by name.
    pub fn removed_plugins(&self) -> BTreeMap<String, String> {
        self.inner.removed_plugins.lock().clone()
    }

    /// Notes that a plugin was installed from afar. It is on disk when this
    /// returns. One caller at a time, of this and of [`State::remove_plugin`].
    ///
    /// # Errors
    /// It could not be saved, and was taken back.
    pub async fn set_plugin(&self, name: &str, plugin: SavedPlugin) -> Result<(), StateError> {
        let before = put(&self.inner.plugins, name, Some(plugin));
        self.inner.writer.changed().await.map_err(|error| {
            put(&self.inner.plugins, name, before);
            StateError::NotSaved(error)
        })
    }

    /// Notes that a plugin from afar was removed, and that no version older than
    /// this one comes back.
    ///
    /// # Errors
    /// It could not be saved, and was taken back.
    pub async fn remove_plugin(&self, name: &str, highest: String) -> Result<(), StateError> {
        let plugin = put(&self.inner.plugins, name, None);
        let version = put(&self.inner.removed_plugins, name, Some(highest));
        self.inner.writer.changed().await.map_err(|error| {
            put(&self.inner.plugins, name, plugin);
            put(&self.inner.removed_plugins, name, version);
            StateError::NotSaved(error)
        })
    }

    /// Waits for a change; gives the devices that changed, came or went since
    /// the last call. That may be none: where all shall be told of anew, and
    /// there is none. One reader only.
    pub async fn changes(&self) -> Vec<DeviceId> {
        self.inner.change.notified().await;
        let mut changed = self.inner.changed.lock();
        let ids = changed.drain().collect();
        // All of them at once come at a start only.
        changed.shrink_to(SHRINK_TO);
        ids
    }

    /// Tells of every device anew.
    pub fn mark_all_changed(&self) {
        let devices = self.inner.devices.read();
        self.inner.changed.lock().extend(devices.keys().cloned());
        self.inner.change.notify_one();
    }

    fn update<T>(
        &self,
        id: &DeviceId,
        change: impl FnOnce(&mut Device) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let mut devices = self.inner.devices.write();
        let device = devices.get_mut(id.as_str()).ok_or_else(|| StateError::Unknown(id.clone()))?;
        change(Arc::make_mut(device))
    }

    /// Tells of a device anew.
    pub fn mark_changed(&self, id: &DeviceId) {
        self.inner.changed.lock().insert(id.clone());
        self.inner.change.notify_one();
    }

    fn snapshot(&self) -> Snapshot {
        let devices = self.inner.devices.read().values().cloned().collect();
        let actions = self.inner.actions.lock().clone();
        let plugins = self.inner.plugins.lock().clone();
        let removed_plugins = self.inner.removed_plugins.lock().clone();
        Snapshot { devices, actions, plugins, removed_plugins }
    }
}

/// Gives what stood there.
fn put<T>(map: &Mutex<BTreeMap<String, T>>, name: &str, value: Option<T>) -> Option<T> {
    let mut map = map.lock();
    match value {
        Some(value) => map.insert(name.to_owned(), value),
        None => map.remove(name),
    }
}

fn set_aside(file: &ConfigFile, why: &str) -> Result<SavedState, FileError> {
    let aside = file.keep_aside()?;
    tracing::error!(
        file = %file.path().display(), kept = %aside.display(), %why,
        "the state section is torn: the file is kept aside, and the section begun anew"
    );
    Ok(SavedState::default())
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
