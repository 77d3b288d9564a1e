//! Making a backup.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::contents::{BESIDE, Contents, DATA, PLUGINS, names};
use super::manifest::Manifest;
use super::unfinished::Unfinished;
use super::{lines, sqlite};
use crate::database;
use crate::state::ConfigFile;

/// The embedded broker's store in the data folder.
const BROKER: &str = "broker.db";

/// A backup that is there.
#[derive(Debug)]
pub struct Made {
    /// What is in it.
    pub manifest: Manifest,
    /// What the configuration names and is not in it.
    pub left_out: Vec<String>,
}

/// Copies what the server of this configuration has, whether it runs or not,
/// into a folder that is not there yet.
///
/// # Errors
/// Something cannot be read or written; no such folder is there then.
pub async fn make(config: &Path, to: &Path, with_keys: bool) -> anyhow::Result<Made> {
    let file = ConfigFile::new(config);
    let contents = Contents::read(&file, file.folder())?;
    let mut backup = Unfinished::begin(to)?;
    backup.manifest.keys = with_keys;
    let mut left_out = Vec::new();
    // Those that the database knows: one that comes later is not among them.
    let pictures = names(&contents.data.join("pictures")).context("list the pictures")?;
    if contents.settings.database.url.is_none() {
        backup.manifest.database = true;
        let path = format!("{DATA}/{}", database::FILE);
        let at = contents.data.join(database::FILE);
        let exists = at.try_exists().with_context(|| format!("look for {}", at.display()))?;
        anyhow::ensure!(
            exists,
            "there is no {}: has the server never run? --config names its configuration",
            at.display()
        );
        let copy = backup.create(&path).context("make the database's copy")?;
        sqlite::copy(&at, &copy).await?;
        backup.enter(&path).context("keep the database's copy")?;
    } else {
        left_out.push("the database at database.url".to_owned());
    }
    copy_backlog(&contents.data, &mut backup).context("copy what waits for the database")?;
    copy_broker(&contents, &mut backup).await.context("copy the broker's store")?;
    backup.copy(config, "config.json")?;
    for name in pictures {
        let picture = contents.data.join("pictures").join(&name);
        backup.copy(&picture, &format!("{DATA}/pictures/{name}"))?;
    }
    if with_keys {
        let keys = contents.data.join("keys");
        for name in names(&keys).context("list the keys")? {
            backup.copy(&keys.join(&name), &format!("{DATA}/keys/{name}"))?;
        }
    } else {
        left_out.push("the server's keys".to_owned());
    }
    for name in &contents.libraries {
        let library = contents.plugins.join(name);
        if !backup.copy(&library, &format!("{PLUGINS}/{name}"))? {
            left_out.push(format!("{}, which is not there", library.display()));
        }
    }
    let (beside, elsewhere) = contents.files_beside().context("list what is beside config.json")?;
    for name in beside {
        let file = contents.beside.join(&name);
        if !backup.copy(&file, &format!("{BESIDE}/{name}"))? {
            left_out.push(format!("{}, which is not there", file.display()));
        }
    }
    left_out.extend(elsewhere.iter().map(|file: &PathBuf| file.display().to_string()));
    Ok(Made { manifest: backup.finish()?, left_out })
}

/// What waits for a PostgreSQL that is away was acknowledged as much as what it
/// has. The server's name goes with it, by which the database knows what it has
/// of it already.
fn copy_backlog(data: &Path, backup: &mut Unfinished) -> anyhow::Result<()> {
    for name in [database::WRITER, database::PUT_ASIDE] {
        backup.copy(&data.join(name), &format!("{DATA}/{name}"))?;
    }
    if let Some(waiting) = lines::whole(&data.join(database::BACKLOG))? {
        let path = format!("{DATA}/{}", database::BACKLOG);
        std::fs::write(backup.create(&path)?, waiting)?;
        backup.enter(&path)?;
    }
    Ok(())
}

/// The server has its broker's store for itself while it runs; there is none
/// where `mqtt.store` is off, or the broker is another.
async fn copy_broker(contents: &Contents, backup: &mut Unfinished) -> anyhow::Result<()> {
    let at = contents.data.join(BROKER);
    if !at.try_exists()? {
        return Ok(());
    }
    let path = format!("{DATA}/{BROKER}");
    let copy = backup.create(&path)?;
    sqlite::copy_locked(&at, &copy).await?;
    Ok(backup.enter(&path)?)
}
