//! RocksDB: a journal, and sorted files that are merged by threads of its own.

use std::path::Path;

use latchlight_broker::{Change, Store, StoreError};
use rocksdb::{BlockBasedOptions, Cache, DB, IteratorMode, Options, WriteBatch, WriteOptions};

/// As much as SQLite is given.
const CACHE: usize = 4 << 20;

pub(crate) struct RocksdbStore {
    database: DB,
    durable: WriteOptions,
}

impl RocksdbStore {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&Cache::new_lru_cache(CACHE));
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&blocks);
        let database = DB::open(&options, folder.join("rocksdb")).map_err(StoreError::new)?;
        let mut durable = WriteOptions::default();
        durable.set_sync(true);
        Ok(Self { database, durable })
    }
}

impl Store for RocksdbStore {
    fn restore(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        for entry in self.database.iterator(IteratorMode::Start) {
            let (key, value) = entry.map_err(StoreError::new)?;
            each(&key, &value);
        }
        Ok(())
    }

    fn commit(&mut self, changes: &mut dyn Iterator<Item = Change<'_>>) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for change in changes {
            match change {
                Change::Put(key, value) => batch.put(key, value),
                Change::Delete(key) => batch.delete(key),
                Change::DeletePrefix(_) => return Err(StoreError::new("not measured")),
            }
        }
        self.database.write_opt(batch, &self.durable).map_err(StoreError::new)
    }
}
