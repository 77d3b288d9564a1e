//! A database in one file, copied while somebody uses it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

/// How long somebody else may hold the database.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a file is copied anew that was written meanwhile, and how long
/// it must have been left alone before: file times have some milliseconds.
const TRIES: u32 = 100;
const ALONE: Duration = Duration::from_millis(50);

/// Writes what is committed into an empty file: as it was at one moment, and
/// checked page by page.
pub(super) async fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(from).busy_timeout(PATIENCE);
    let failed = || format!("copy the database {}", from.display());
    let mut connection = options.connect().await.with_context(failed)?;
    let name = to.to_str().context("the backup's path is not UTF-8")?;
    let copied = sqlx::query("VACUUM INTO ?").bind(name).execute(&mut connection).await;
    let closed = connection.close().await;
    copied.with_context(failed)?;
    closed.with_context(failed)
}

/// The same of one that its owner has for itself, and lets nobody read: its
/// files are copied as they are, while they are left alone, and read then.
pub(super) async fn copy_locked(from: &Path, to: &Path) -> anyhow::Result<()> {
    let beside = tempfile::tempdir_in(to.parent().context("the copy needs a folder")?)?;
    let raw = beside.path().join("raw.db");
    for _ in 0..TRIES {
        let before = Files::look(from)?;
        if before.is_left_alone() {
            fs::copy(from, &raw)?;
            let log = with_suffix(&raw, "-wal");
            match fs::copy(with_suffix(from, "-wal"), &log) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied?),
            }
            if before == Files::look(from)? {
                return copy(&raw, to).await;
            }
        }
        tokio::time::sleep(ALONE).await;
    }
    bail!("{} is written too often to be copied: try again", from.display())
}

/// When a database and its log were written last. What is appended to the log
/// while it is copied is cut off, or comes with it: only whole transactions
/// count. But nothing may come from the log into the database meanwhile.
#[derive(PartialEq, Eq)]
struct Files {
    database: (i64, i64, u64),
    /// It is begun anew when all of it is in the database.
    log_begins: Vec<u8>,
}

impl Files {
    fn look(path: &Path) -> std::io::Result<Self> {
        let state = |file: Metadata| (file.mtime(), file.mtime_nsec(), file.len());
        let database = state(fs::metadata(path)?);
        let log_begins = head(&with_suffix(path, "-wal"))?;
        Ok(Self { database, log_begins })
    }

    fn is_left_alone(&self) -> bool {
        let (seconds, nanoseconds, _) = self.database;
        let written = Duration::new(seconds.unsigned_abs(), nanoseconds.unsigned_abs() as u32);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(written) > ALONE
    }
}

/// The head of a log, which changes when it is begun anew.
fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::with_capacity(32);
    match fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        opened => drop(opened?.take(32).read_to_end(&mut bytes)?),
    }
    Ok(bytes)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
