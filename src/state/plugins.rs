//! Actions and plugins in the roster: where they came from.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::roster::{State, StateError};
use super::saved::SavedPlugin;

impl State {
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
}

/// Gives what stood there.
fn put<T>(map: &Mutex<BTreeMap<String, T>>, name: &str, value: Option<T>) -> Option<T> {
    let mut map = map.lock();
    match value {
        Some(value) => map.insert(name.to_owned(), value),
        None => map.remove(name),
    }
}
