//! The roster in memory: which devices there are and what they last said.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::saved::{SavedPlugin, SavedState};
use super::snapshot::Snapshot;
use super::writer::Writer;
use super::{ConfigFile, Device, DeviceId, DeviceKind, DeviceState, FileError};

/// How many devices there may be: whoever says `hand_shake` is written to disk
/// and remembered.
pub(super) const MOST_DEVICES: usize = 100_000;

/// For how many changes there is room while none has been made.
const SHRINK_TO: usize = 1024;

/// The roster of devices, shared by everything in the server; cheap to clone.
#[derive(Clone)]
pub struct State {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) devices: RwLock<HashMap<DeviceId, Arc<Device>>>,
    pub(super) actions: Mutex<BTreeMap<String, String>>,
    pub(super) plugins: Mutex<BTreeMap<String, SavedPlugin>>,
    pub(super) removed_plugins: Mutex<BTreeMap<String, String>>,
    pub(super) writer: Writer,
    pub(super) changed: Mutex<HashSet<DeviceId>>,
    pub(super) change: Notify,
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

fn set_aside(file: &ConfigFile, why: &str) -> Result<SavedState, FileError> {
    let aside = file.keep_aside()?;
    tracing::error!(
        file = %file.path().display(), kept = %aside.display(), %why,
        "the state section is torn: the file is kept aside, and the section begun anew"
    );
    Ok(SavedState::default())
}
