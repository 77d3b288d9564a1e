//! redb: a copy-on-write tree in one file.

use std::path::Path;

use latchlight_broker::{Change, Store, StoreError};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");

/// As much as SQLite is given.
const CACHE: usize = 4 << 20;

pub(crate) struct RedbStore {
    database: Database,
}

impl RedbStore {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Database::builder().set_cache_size(CACHE).create(path);
        let database = database.map_err(StoreError::new)?;
        let begin = database.begin_write().map_err(StoreError::new)?;
        begin.open_table(ENTRIES).map_err(StoreError::new)?;
        begin.commit().map_err(StoreError::new)?;
        Ok(Self { database })
    }
}

impl Store for RedbStore {
    fn restore(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let transaction = self.database.begin_read().map_err(StoreError::new)?;
        let table = transaction.open_table(ENTRIES).map_err(StoreError::new)?;
        for entry in table.iter().map_err(StoreError::new)? {
            let (key, value) = entry.map_err(StoreError::new)?;
            each(key.value(), value.value());
        }
        Ok(())
    }

    fn commit(&mut self, changes: &mut dyn Iterator<Item = Change<'_>>) -> Result<(), StoreError> {
        // Durable at once is its default.
        let transaction = self.database.begin_write().map_err(StoreError::new)?;
        {
            let mut table = transaction.open_table(ENTRIES).map_err(StoreError::new)?;
            for change in changes {
                match change {
                    Change::Put(key, value) => {
                        table.insert(key, value).map_err(StoreError::new)?;
                    }
                    Change::Delete(key) => {
                        table.remove(key).map_err(StoreError::new)?;
                    }
                    Change::DeletePrefix(_) => return Err(StoreError::new("not measured")),
                }
            }
        }
        transaction.commit().map_err(StoreError::new)
    }
}
