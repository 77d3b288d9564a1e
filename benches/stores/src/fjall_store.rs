//! fjall: a journal, and sorted files that are merged by threads of its own.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use latchlight_broker::{Change, Store, StoreError};

/// As much as SQLite is given.
const CACHE: u64 = 4 << 20;

pub(crate) struct FjallStore {
    database: Database,
    entries: Keyspace,
}

impl FjallStore {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let database = Database::builder(folder.join("fjall")).cache_size(CACHE).open();
        let database = database.map_err(StoreError::new)?;
        let entries = database.keyspace("entries", KeyspaceCreateOptions::default);
        Ok(Self { entries: entries.map_err(StoreError::new)?, database })
    }
}

impl Store for FjallStore {
    fn restore(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        for entry in self.entries.iter() {
            let (key, value) = entry.into_inner().map_err(StoreError::new)?;
            each(&key, &value);
        }
        Ok(())
    }

    fn commit(&mut self, changes: &mut dyn Iterator<Item = Change<'_>>) -> Result<(), StoreError> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for change in changes {
            match change {
                Change::Put(key, value) => batch.insert(&self.entries, key, value),
                Change::Delete(key) => batch.remove(&self.entries, key),
                Change::DeletePrefix(_) => return Err(StoreError::new("not measured")),
            }
        }
        batch.commit().map_err(StoreError::new)
    }
}
