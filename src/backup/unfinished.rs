//! A backup while it is made: under a name that nobody takes for one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::manifest::{self, Entry, Manifest};

/// A backup that is not whole; removed where it does not come to its end, but
/// for a kill, which leaves it under its own name.
pub(super) struct Unfinished {
    folder: TempDir,
    to: PathBuf,
    pub(super) manifest: Manifest,
}

impl Unfinished {
    /// Begins one that is to be there; nothing is overwritten.
    pub(super) fn begin(to: &Path) -> anyhow::Result<Self> {
        let to = std::path::absolute(to).context("read the backup's name")?;
        ensure!(fs::symlink_metadata(&to).is_err(), "{} is there already", to.display());
        let name = to.file_name().context("the backup needs a name")?.to_string_lossy();
        let parent = to.parent().context("the backup needs a folder to be in")?;
        // For its owner alone, as everything in it.
        let folder = tempfile::Builder::new()
            .prefix(&format!(".{name}.unfinished-"))
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .with_context(|| format!("make a folder in {}", parent.display()))?;
        Ok(Self { folder, to, manifest: Manifest::begin() })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a file that is empty yet, and the folders that it is in.
    pub(super) fn create(&self, path: &str) -> io::Result<PathBuf> {
        let at = self.folder().join(path);
        if let Some(folder) = at.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at)?;
        Ok(at)
    }

    /// Enters a file that was made, and sees to it that it is on disk.
    pub(super) fn enter(&mut self, path: &str) -> io::Result<()> {
        File::open(self.folder().join(path))?.sync_all()?;
        let entry = Entry::of(self.folder(), path.to_owned())?;
        self.manifest.files.push(entry);
        Ok(())
    }

    /// Copies a file; false: there is none, or not any more.
    pub(super) fn copy(&mut self, from: &Path, path: &str) -> anyhow::Result<bool> {
        let failed = || format!("copy {}", from.display());
        let mut source = match File::open(from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened.with_context(failed)?,
        };
        let at = self.create(path).with_context(failed)?;
        let mut copy = OpenOptions::new().write(true).open(at).with_context(failed)?;
        io::copy(&mut source, &mut copy).with_context(failed)?;
        self.enter(path).with_context(failed)?;
        Ok(true)
    }

    /// Writes the manifest and gives the folder its name; all of it is on disk
    /// when this returns.
    pub(super) fn finish(mut self) -> anyhow::Result<Manifest> {
        self.manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut text = serde_json::to_vec_pretty(&self.manifest).context("write the manifest")?;
        text.push(b'\n');
        let write = || -> io::Result<()> {
            sync_folders(self.folder())?;
            let at = self.create(manifest::FILE)?;
            fs::write(&at, &text)?;
            File::open(at)?.sync_all()?;
            File::open(self.folder())?.sync_all()
        };
        write().context("write the manifest")?;
        let shown = self.to.display().to_string();
        let failed = || format!("name the backup {shown}");
        // An empty folder would be replaced by a rename.
        ensure!(fs::symlink_metadata(&self.to).is_err(), "{} is there now", self.to.display());
        fs::rename(self.folder(), &self.to).with_context(failed)?;
        let Self { folder, to, manifest } = self;
        // It has its name: there is nothing to remove.
        let _ = folder.keep();
        if let Some(parent) = to.parent() {
            File::open(parent).and_then(|parent| parent.sync_all()).with_context(failed)?;
        }
        Ok(manifest)
    }
}

/// A file is found after a power cut when its folder is on disk, too.
pub(super) fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}
