//! A store that lasts as long as the process: for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Change, Store, StoreError};

/// Keeps everything in memory that its clones share: a broker that is started
/// with a clone finds what the one before has committed.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    entries: Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>,
}

impl MemoryStore {
    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.entries.lock().len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Store for MemoryStore {
    fn restore(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.entries.lock().iter().for_each(|(key, value)| each(key, value));
        Ok(())
    }

    fn commit(&mut self, changes: &mut dyn Iterator<Item = Change<'_>>) -> Result<(), StoreError> {
        let mut entries = self.entries.lock();
        for change in changes {
            match change {
                Change::DeletePrefix(prefix) => entries.retain(|key, _| !key.starts_with(prefix)),
                Change::Put(key, value) => drop(entries.insert(key.into(), value.into())),
                Change::Delete(key) => drop(entries.remove(key)),
            }
        }
        Ok(())
    }
}
