//! What is in a backup, file by file.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path};

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The manifest's name in the backup.
pub(super) const FILE: &str = "manifest.json";

/// How a backup is laid out; a server reads its own alone.
const FORMAT: u32 = 1;

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    /// Of the server that made it.
    pub version: String,
    /// When it was begun.
    pub made_at: Timestamp,
    /// Whether the database is in it.
    pub database: bool,
    /// Whether the server's keys are in it.
    pub keys: bool,
    /// Every file but this one.
    pub files: Vec<Entry>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Below the backup's folder, with `/` between its parts.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    sha256: String,
}

impl Entry {
    /// Describes a file of a backup.
    pub(super) fn of(folder: &Path, path: String) -> io::Result<Self> {
        let (bytes, sha256) = digest(&folder.join(&path))?;
        Ok(Self { path, bytes, sha256 })
    }
}

impl Manifest {
    pub(super) fn begin() -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: Timestamp::now(),
            database: false,
            keys: false,
            files: Vec::new(),
        }
    }

    /// Reads the manifest of a backup, and checks every file that it names and
    /// that there is no other.
    ///
    /// # Errors
    /// It is no backup, or not as it was made.
    pub(super) fn check(folder: &Path) -> anyhow::Result<Self> {
        let text = fs::read(folder.join(FILE)).with_context(|| {
            format!("{} is no backup, or one that did not come to its end", folder.display())
        })?;
        let manifest: Self = serde_json::from_slice(&text).context("read the manifest")?;
        let Self { format, version, .. } = &manifest;
        ensure!(
            *format == FORMAT,
            "the backup was made by version {version}, in a format that this one does not read"
        );
        for entry in &manifest.files {
            entry.check(folder).with_context(|| format!("the backup's {}", entry.path))?;
        }
        let mut there = BTreeSet::new();
        list(folder, "", &mut there).context("list the backup")?;
        let named = manifest.files.iter().map(|entry| entry.path.as_str());
        let named: BTreeSet<_> = named.chain([FILE]).collect();
        if let Some(other) = there.iter().find(|path| !named.contains(path.as_str())) {
            bail!("{other} is in the backup's folder, and not in its manifest");
        }
        Ok(manifest)
    }
}

impl Entry {
    fn check(&self, folder: &Path) -> anyhow::Result<()> {
        let parts = Path::new(&self.path).components();
        let mut parts = parts.map(|part| matches!(part, Component::Normal(_)));
        ensure!(!self.path.is_empty() && parts.all(|normal| normal), "this is no path in a backup");
        let path = folder.join(&self.path);
        ensure!(fs::symlink_metadata(&path)?.is_file(), "it is no file");
        let (bytes, sha256) = digest(&path)?;
        ensure!(bytes == self.bytes && sha256 == self.sha256, "it is not as it was made");
        Ok(())
    }
}

fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let bytes = io::copy(&mut File::open(path)?, &mut Hashing(&mut hash))?;
    Ok((bytes, data_encoding::HEXLOWER.encode(&hash.finalize())))
}

struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every path below a folder that is no folder itself.
fn list(folder: &Path, below: &str, there: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.file_type()?.is_dir() {
            list(folder, &path, there)?;
        } else {
            there.insert(path);
        }
    }
    Ok(())
}
