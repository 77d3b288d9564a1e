//! That a file is used by one server at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context as _, bail};

/// While this is kept, no other server has the same file. The system lets go
/// of it when the process ends, however it ends.
#[derive(Debug)]
pub struct SoleUse {
    _lock: File,
}

impl SoleUse {
    /// Takes a file for this server by a lock on another one beside it, which
    /// stays there: the file itself may be replaced by a new one.
    ///
    /// # Errors
    /// Another server has it, or the lock's file cannot be opened.
    pub fn of(file: &Path) -> anyhow::Result<Self> {
        let mut beside = file.as_os_str().to_owned();
        beside.push(".lock");
        let beside = Path::new(&beside);
        let lock = File::options().create(true).append(true).open(beside).with_context(|| {
            format!("open {} (the server must be allowed to create it)", beside.display())
        })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "another server uses {}: it holds the lock on {}",
                file.display(),
                beside.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("lock {}", beside.display()))
            }
        }
    }
}
