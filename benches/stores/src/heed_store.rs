//! LMDB by heed: a tree in a file that is mapped.

use std::path::Path;

use heed::types::Bytes;
use heed::{Database, Env, EnvOpenOptions};
use latchlight_broker::{Change, Store, StoreError};

/// How large the file may become.
const MAP: usize = 4 << 30;

pub(crate) struct HeedStore {
    env: Env,
    entries: Database<Bytes, Bytes>,
}

impl HeedStore {
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        // SAFETY: nobody else opens or changes the file while it is mapped; the
        // folder is this process's own.
        let env = unsafe { EnvOpenOptions::new().map_size(MAP).open(folder) };
        let env = env.map_err(StoreError::new)?;
        let mut transaction = env.write_txn().map_err(StoreError::new)?;
        let entries = env.create_database(&mut transaction, None).map_err(StoreError::new)?;
        transaction.commit().map_err(StoreError::new)?;
        Ok(Self { env, entries })
    }
}

impl Store for HeedStore {
    fn restore(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let transaction = self.env.read_txn().map_err(StoreError::new)?;
        for entry in self.entries.iter(&transaction).map_err(StoreError::new)? {
            let (key, value) = entry.map_err(StoreError::new)?;
            each(key, value);
        }
        Ok(())
    }

    fn commit(&mut self, changes: &mut dyn Iterator<Item = Change<'_>>) -> Result<(), StoreError> {
        let mut transaction = self.env.write_txn().map_err(StoreError::new)?;
        for change in changes {
            match change {
                Change::Put(key, value) => {
                    self.entries.put(&mut transaction, key, value).map_err(StoreError::new)?;
                }
                Change::Delete(key) => {
                    self.entries.delete(&mut transaction, key).map_err(StoreError::new)?;
                }
                Change::DeletePrefix(_) => return Err(StoreError::new("not measured")),
            }
        }
        transaction.commit().map_err(StoreError::new)
    }
}
