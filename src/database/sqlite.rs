//! What SQLite alone needs: its file, its settings, and what to do with a file
//! that is torn.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr as _;

use anyhow::Context as _;
use sqlx::any::AnyConnectOptions;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use super::Connection;
use crate::config::DatabaseSettings;

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The database in the data folder; its log and index stand beside it.
pub const FILE: &str = "latchlight.db";

/// What is wrong with the pages of a database.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Torn(String);

/// The file that the settings name, or the one in the data folder.
pub(super) fn options(url: Option<&str>, data: &Path) -> anyhow::Result<AnyConnectOptions> {
    let options = match url {
        Some(url) => SqliteConnectOptions::from_str(url).context("read database.url")?,
        None => SqliteConnectOptions::new().filename(data.join(FILE)),
    };
    let path = for_url(options.get_filename());
    // sqlx forgets this one where it makes a URL of a path.
    let path = path.to_string_lossy().replace('%', "%25");
    let url = options.filename(path).create_if_missing(true).to_url_lossy();
    AnyConnectOptions::from_url(&url).context("read database.url")
}

/// The same file by a path that stays what it is in a URL, as which sqlx keeps
/// it: there, what a relative one begins with is a host, and `..` goes back over
/// what stands before it, be it that host or a link.
fn for_url(file: &Path) -> Cow<'_, Path> {
    if !file.components().any(|part| part == Component::ParentDir) {
        return match file.is_relative() && !file.starts_with(".") {
            true => Cow::Owned(Path::new(".").join(file)),
            false => Cow::Borrowed(file),
        };
    }
    let (folder, name) = (file.parent(), file.file_name());
    let whole = folder.zip(name).and_then(|(folder, name)| {
        let folder = folder.canonicalize().ok()?;
        Some(folder.join(name))
    });
    // A folder that is not there is named in full.
    let whole = whole.or_else(|| std::path::absolute(file).ok());
    whole.map_or(Cow::Borrowed(file), Cow::Owned)
}

/// Where the file is; nowhere, where the settings name another database.
pub(super) fn file(settings: &DatabaseSettings, data: &Path) -> anyhow::Result<Option<PathBuf>> {
    Ok(match &settings.url {
        _ if settings.is_postgres() => None,
        None => Some(data.join(FILE)),
        Some(url) => {
            let options = SqliteConnectOptions::from_str(url).context("read database.url")?;
            Some(options.get_filename().to_owned())
        }
    })
}

/// The file, as it was named: a URL of it begins a path where there is none.
pub(super) fn name(options: &AnyConnectOptions) -> String {
    match SqliteConnectOptions::from_url(&options.database_url) {
        Ok(options) => format!("the database {}", options.get_filename().display()),
        Err(_) => "the database at database.url".to_owned(),
    }
}

/// Makes the file where there is none, for its owner alone: hashes of passwords
/// are in it. What SQLite puts beside it gets the same mode. Where that cannot
/// be, SQLite says why, or makes it.
pub(super) fn make_file(options: &AnyConnectOptions) {
    if let Ok(options) = SqliteConnectOptions::from_url(&options.database_url) {
        let mut new = OpenOptions::new();
        let _ = new.write(true).create_new(true).mode(0o600).open(options.get_filename());
    }
}

/// What every connection is told. What was acknowledged outlives a power cut,
/// not only a crash.
pub(super) async fn set_up(connection: &mut Connection) -> Result<(), sqlx::Error> {
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").await.map(|_| ())
}

/// That the pages of the database are whole.
pub(super) async fn check(connection: &mut Connection) -> anyhow::Result<()> {
    let check = sqlx::query_scalar("PRAGMA quick_check(1)");
    let found: String = check.fetch_one(connection).await?;
    if found == "ok" { Ok(()) } else { Err(Torn(found).into()) }
}

/// Whether the file is no database, or not a whole one.
pub(super) fn is_torn(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let code = cause.downcast_ref::<sqlx::Error>();
        let code = code.and_then(|error| error.as_database_error()?.code());
        // SQLITE_CORRUPT and SQLITE_NOTADB, in the lowest byte of what extends them.
        let code = code.and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xFF);
        matches!(code, Some(11 | 26)) || cause.is::<Torn>()
    })
}

/// Renames the files of the database; gives the new name of the first.
pub(super) fn keep_aside(data: &Path) -> std::io::Result<PathBuf> {
    let aside = format!("{FILE}.torn-{}", jiff::Timestamp::now().as_millisecond());
    for part in ["-wal", "-shm", ""] {
        let named = data.join(format!("{FILE}{part}"));
        match std::fs::rename(named, data.join(format!("{aside}{part}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(data.join(aside))
}

/// Whether a connection may be used again. Where a disk is full, SQLite ends a
/// transaction by itself; sqlx then takes it for open, and no other one could
/// begin on this connection any more.
pub(super) async fn is_whole(connection: &mut Connection) -> Result<bool, sqlx::Error> {
    // What was to be rolled back is, when this has been answered.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_database_is_in_the_data_folder_however_that_is_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(folder.join("house/far/away")).unwrap();
        std::os::unix::fs::symlink(folder.join("house/far/away"), folder.join("link")).unwrap();
        let here = std::env::current_dir().unwrap();
        for (data, is) in [
            (folder.join("house"), folder.join("house")),
            (folder.join("house/far/../far"), folder.join("house/far")),
            // Where the link leads, and not where it stands.
            (folder.join("link/.."), folder.join("house/far")),
            (PathBuf::from(".."), here.parent().unwrap().to_owned()),
            (PathBuf::from("src/../src"), here.join("src")),
            (PathBuf::from("src"), PathBuf::from("src")),
            (PathBuf::from("./src"), PathBuf::from("src")),
            (PathBuf::from("a:1/b"), PathBuf::from("a:1/b")),
            (PathBuf::from("host:080"), PathBuf::from("host:080")),
            (PathBuf::new(), PathBuf::new()),
        ] {
            let options = options(None, &data).unwrap();
            let options = SqliteConnectOptions::from_url(&options.database_url).unwrap();
            let file = options.get_filename();
            let said = file.strip_prefix("./").unwrap_or(file);
            assert_eq!(said, is.join(FILE), "{}", data.display());
        }
    }
}
