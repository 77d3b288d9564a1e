//! The store that comes with the broker: one SQLite file.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use super::{Change, Store, StoreError};

/// How much of the file is held in memory, in KiB.
const CACHE: u32 = 4096;

/// Keeps everything in one SQLite file, and its write-ahead log beside it.
/// A commit is on disk, also in a power cut, when it returns.
///
/// A file that is taken away or torn while it is used is noticed at the next
/// commit. What is in its place is kept aside, and a new one gets everything.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    /// Nothing: what it had is lost, and it has not begun anew yet.
    open: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    connection: Connection,
    file: FileIdentity,
    /// Of the log, which comes with the first commit.
    log: Option<FileIdentity>,
}

impl SqliteStore {
    /// Opens the file, or makes it. One that is torn or is no database is kept
    /// aside, which the log says, and a new one begun.
    ///
    /// # Errors
    /// The file cannot be made or written, or another process has it open.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let error = match open(&path) {
            Ok(open) => return Ok(Self { path, open: Some(open) }),
            Err(error) => error,
        };
        if !is_torn(&error) {
            return Err(said(&path, error));
        }
        let aside = put_aside(&path, "torn").map_err(StoreError::new)?;
        tracing::error!(%error, aside = %aside.display(), "the broker's store is torn: it is kept aside, and a new one begun");
        let open = open(&path).map_err(|error| said(&path, error))?;
        Ok(Self { path, open: Some(open) })
    }

    /// The file and its log, if they are where they were; what is written to
    /// one that is not would be gone at the next start.
    fn in_place(&mut self) -> Result<&mut OpenFile, StoreError> {
        let path = self.path.display();
        let Some(open) = &mut self.open else {
            return Err(StoreError::lost(format!("{path} has to begin anew")));
        };
        let log = with_suffix(&self.path, "-wal");
        let file_is = FileIdentity::of(&self.path) == Some(open.file);
        let log_is = open.log.is_none() || FileIdentity::of(&log) == open.log;
        if file_is && log_is {
            return Ok(open);
        }
        Err(StoreError::lost(format!("{path}, or its log, was taken away or replaced")))
    }
}

fn open(path: &Path) -> rusqlite::Result<OpenFile> {
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
        let file = FileIdentity::of(path).ok_or(rusqlite::Error::InvalidPath(path.to_owned()))?;
        return Ok(OpenFile { connection, file, log: None });
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
fn put_aside(path: &Path, why: &str) -> std::io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let aside = with_suffix(path, &format!(".{why}-{now}"));
    std::fs::rename(path, &aside)?;
    let log = with_suffix(path, "-wal");
    if log.exists() {
        std::fs::rename(log, with_suffix(path, &format!(".{why}-{now}-wal")))?;
    }
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Which file it is that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileIdentity(u64, u64);

impl FileIdentity {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(path).ok().map(|file| Self(file.dev(), file.ino()))
    }

    /// Elsewhere a file that is open cannot be taken away.
    #[cfg(not(unix))]
    fn of(path: &Path) -> Option<Self> {
        path.exists().then_some(Self(0, 0))
    }
}

impl Store for SqliteStore {
    fn restore(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let OpenFile { connection, .. } = self.in_place()?;
        let mut read = || -> rusqlite::Result<()> {
            let mut all = connection.prepare("SELECT key, value FROM entries")?;
            let mut rows = all.query([])?;
            while let Some(row) = rows.next()? {
                each(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
            }
            Ok(())
        };
        read().map_err(|error| said(&self.path, error))
    }

    fn commit(&mut self, changes: &mut dyn Iterator<Item = Change<'_>>) -> Result<(), StoreError> {
        let log = with_suffix(&self.path, "-wal");
        let open = self.in_place()?;
        let result = write(&mut open.connection, changes);
        match result {
            Ok(()) => {
                open.log = open.log.or_else(|| FileIdentity::of(&log));
                Ok(())
            }
            Err(error) if is_torn(&error) => {
                self.open = None;
                Err(StoreError::lost(format!("{}: {error}", self.path.display())))
            }
            Err(error) => Err(said(&self.path, error)),
        }
    }

    fn begin_anew(&mut self) -> Result<(), StoreError> {
        // It has begun, and then could not commit.
        if let Ok(OpenFile { connection, .. }) = self.in_place() {
            let cleared = connection.execute("DELETE FROM entries", []);
            return cleared.map(|_| ()).map_err(|error| said(&self.path, error));
        }
        let path = &self.path;
        // Closed first: it may still write to what is about to be moved.
        self.open = None;
        if path.exists() {
            let aside = put_aside(path, "lost").map_err(StoreError::new)?;
            tracing::error!(aside = %aside.display(), "what was in the place of the broker's store is kept aside");
        } else if let Err(error) = std::fs::remove_file(with_suffix(path, "-wal"))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            // It would be taken for the new one's.
            return Err(StoreError::new(error));
        }
        self.open = Some(open(path).map_err(|error| said(path, error))?);
        Ok(())
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
