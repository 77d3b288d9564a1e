//! The store that comes with the broker: one SQLite file.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use super::{Change, Store, StoreError};

/// How much of the file is held in memory, in KiB.
const CACHE: u32 = 4096;

/// Keeps everything in one SQLite file, and its write-ahead log beside it.
/// A commit is on disk, also in a power cut, when it returns.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
}

impl SqliteStore {
    /// Opens the file, or makes it. One that is torn or is no database is kept
    /// aside, which the log says, and a new one begun.
    ///
    /// # Errors
    /// The file cannot be made or written, or another process has it open.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let error = match open(path) {
            Ok(connection) => return Ok(Self { connection }),
            Err(error) => error,
        };
        if !is_torn(&error) {
            return Err(said(path, error));
        }
        let aside = put_aside(path).map_err(StoreError::new)?;
        tracing::error!(%error, aside = %aside.display(), "the broker's store is torn: it is kept aside, and a new one begun");
        open(path).map(|connection| Self { connection }).map_err(|error| said(path, error))
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Nobody else may write; the index of the log needs no shared memory then.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -i64::from(CACHE))?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    )?;
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound == "ok" {
        return Ok(connection);
    }
    let torn = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(torn, Some(sound)))
}

fn is_torn(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn said(path: &Path, error: rusqlite::Error) -> StoreError {
    let why = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy) => "another process uses it".to_owned(),
        _ => error.to_string(),
    };
    StoreError::new(format!("{}: {why}", path.display()))
}

/// Moves the file and its log aside; gives where the file is now.
fn put_aside(path: &Path) -> std::io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let named = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = named(&format!(".torn-{now}"));
    std::fs::rename(path, &aside)?;
    let log = named("-wal");
    if log.exists() {
        std::fs::rename(log, named(&format!(".torn-{now}-wal")))?;
    }
    Ok(aside)
}

impl Store for SqliteStore {
    fn restore(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let mut read = || -> rusqlite::Result<()> {
            let mut all = self.connection.prepare("SELECT key, value FROM entries")?;
            let mut rows = all.query([])?;
            while let Some(row) = rows.next()? {
                each(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
            }
            Ok(())
        };
        read().map_err(StoreError::new)
    }

    fn commit(&mut self, changes: &mut dyn Iterator<Item = Change<'_>>) -> Result<(), StoreError> {
        write(&mut self.connection, changes).map_err(StoreError::new)
    }
}

fn write(
    connection: &mut Connection,
    changes: &mut dyn Iterator<Item = Change<'_>>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut put = transaction.prepare_cached(
            "INSERT INTO entries (key, value) VALUES (?, ?) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?;
        let mut delete = transaction.prepare_cached("DELETE FROM entries WHERE key = ?")?;
        let mut delete_range =
            transaction.prepare_cached("DELETE FROM entries WHERE key >= ? AND key < ?")?;
        for change in changes {
            match change {
                Change::Put(key, value) => put.execute(params![key, value])?,
                Change::Delete(key) => delete.execute(params![key])?,
                Change::DeletePrefix(prefix) => {
                    delete_range.execute(params![prefix, after(prefix)])?
                }
            };
        }
    }
    transaction.commit()
}

/// The first key that comes after all that begin with this.
fn after(prefix: &[u8]) -> Vec<u8> {
    let mut after = prefix.to_vec();
    while let Some(last) = after.pop() {
        if last < u8::MAX {
            after.push(last + 1);
            return after;
        }
    }
    // All of them are; no session's number is that high.
    vec![u8::MAX; prefix.len() + 1]
}
