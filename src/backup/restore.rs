//! A server from a backup.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::contents::{BESIDE, Contents, DATA, PLUGINS};
use super::manifest::Manifest;
use crate::database;
use crate::sole_use::SoleUse;
use crate::state::ConfigFile;

/// The broker may have taken it since, or nobody wants it any more.
const KEEP_BACK: &str = "UPDATE messages SET state = 'failed', ended_at = $1, \
    detail = 'it waited when the backup was made' WHERE state = 'waiting'";

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What was in the backup.
    pub manifest: Manifest,
    /// The server's data folder.
    pub data: PathBuf,
    /// How many messages waited that are not sent now.
    pub kept_back: u64,
}

/// What becomes of messages that waited for the broker when the backup was
/// made. It may have taken them since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// They are recorded as failed.
    KeepBack,
    /// The server sends them when it starts.
    Send,
}

/// Puts what is in a backup where its configuration says, with config.json at
/// this path, where none may be yet. It is written last: no server starts on
/// half of it. Whoever was signed in is so no more.
///
/// # Errors
/// The backup is not as it was made, something is there already, a server
/// runs there, or the disk does not take it.
pub async fn restore(backup: &Path, config: &Path, waiting: Waiting) -> anyhow::Result<Restored> {
    let manifest = Manifest::check(backup)?;
    let target = ConfigFile::new(config);
    let contents = Contents::read(&ConfigFile::new(backup.join("config.json")), target.folder())
        .context("the backup's config.json")?;
    ensure!(fs::symlink_metadata(config).is_err(), "{} is there already", config.display());
    ensure_empty(&contents.data)?;
    let files: Vec<_> = manifest.files.iter().map(|entry| entry.path.as_str()).collect();
    let mut targets = Vec::new();
    for path in files.into_iter().filter(|path| *path != "config.json") {
        let to = place(&contents, path)?;
        ensure!(fs::symlink_metadata(&to).is_err(), "{} is there already", to.display());
        targets.push((backup.join(path), to));
    }
    make_folder(target.folder())?;
    make_folder(&contents.data)?;
    let _nobody_else = [SoleUse::of(config)?, SoleUse::of(&contents.data.join(database::FILE))?];
    for (from, to) in &targets {
        copy(from, to).with_context(|| format!("restore {}", to.display()))?;
    }
    let kept_back = match manifest.database {
        true => settle(&contents.data.join(database::FILE), waiting).await?,
        false => 0,
    };
    copy(&backup.join("config.json"), config)
        .with_context(|| format!("restore {}", config.display()))?;
    Ok(Restored { manifest, data: contents.data, kept_back })
}

/// Where a file of the backup belongs.
fn place(contents: &Contents, path: &str) -> anyhow::Result<PathBuf> {
    match path.split_once('/') {
        Some((DATA, rest)) => Ok(contents.data.join(rest)),
        Some((PLUGINS, rest)) => Ok(contents.plugins.join(rest)),
        Some((BESIDE, rest)) => Ok(contents.beside.join(rest)),
        _ => bail!("the backup's {path} belongs nowhere"),
    }
}

fn ensure_empty(data: &Path) -> anyhow::Result<()> {
    match fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("look into {}", data.display())),
        Ok(mut entries) => {
            ensure!(
                entries.next().is_none(),
                "the data folder {} is not empty: move it away first",
                data.display()
            );
            Ok(())
        }
    }
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("make {}", folder.display()))
}

/// Copies a file that is not there yet; it is on disk when this returns.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let folder = to.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    make_folder(folder)?;
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut File::open(from)?, &mut copy)?;
    copy.sync_all()?;
    Ok(File::open(folder)?.sync_all()?)
}

/// Settles what would do something by itself, or for somebody who has kept it:
/// a refresh token that was used since the backup would be good once more, and a
/// message that was sent since would be sent again. Gives how many messages were
/// kept back.
async fn settle(database: &Path, waiting: Waiting) -> anyhow::Result<u64> {
    let settle = async {
        let options = SqliteConnectOptions::new().filename(database);
        let mut connection = options.connect().await?;
        sqlx::query("DELETE FROM refresh_tokens").execute(&mut connection).await?;
        let table = "SELECT count(*) FROM sqlite_master WHERE name = 'messages'";
        // A server from before there were messages made it, perhaps.
        let tables: i64 = sqlx::query_scalar(table).fetch_one(&mut connection).await?;
        let mut kept_back = 0;
        if tables > 0 && waiting == Waiting::KeepBack {
            let keep_back = sqlx::query(KEEP_BACK).bind(Timestamp::now().as_millisecond());
            kept_back = keep_back.execute(&mut connection).await?.rows_affected();
        }
        connection.close().await?;
        Ok::<_, sqlx::Error>(kept_back)
    };
    settle.await.context("end the sign-ins of the restored database")
}
