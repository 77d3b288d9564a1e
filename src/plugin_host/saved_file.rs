//! The files of installed plugins: written whole or not at all, and tidied
//! up after a crash.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bytes::Bytes;

use super::install_error::InstallError;
use crate::config::{PluginName, Sha256Hex};

/// How the names of files begin and end that are not whole yet.
const UNFINISHED: (&str, &str) = (".plugin-", ".unfinished");

/// Saves a library in the plugin folder, through a temporary file that takes
/// its place when it is on disk.
pub(super) async fn save(folder: &Path, file: &str, bytes: Bytes) -> Result<(), InstallError> {
    let (folder, file) = (folder.to_owned(), file.to_owned());
    let work = move || {
        write(&folder, &file, &bytes).map_err(|error| {
            let folder = folder.display();
            InstallError::Storage(format!("write into the plugin folder {folder}: {error}"))
        })
    };
    let failed = |_| InstallError::Storage("the server failed; its log has more".to_owned());
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

fn write(folder: &Path, file: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let (prefix, suffix) = UNFINISHED;
    let mut temporary =
        tempfile::Builder::new().prefix(prefix).suffix(suffix).tempfile_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
    temporary.as_file().sync_all()?;
    temporary.persist(folder.join(file)).map_err(|error| error.error)?;
    // The rename itself lasts only when the folder is synced.
    File::open(folder)?.sync_all()
}

/// Removes a file that nothing names any more; one that stays is removed at
/// the next start.
pub(super) async fn remove(folder: &Path, file: &str) {
    let path = folder.join(file);
    let removed = tokio::fs::remove_file(&path).await;
    if let Err(error) = removed
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(file = %path.display(), %error, "remove a plugin's file");
    }
}

/// Removes what a crash left: files that are not whole, and libraries of
/// installed plugins that neither state nor config.json names.
pub(super) fn clean(folder: &Path, is_named: impl Fn(&str) -> bool) {
    let Ok(files) = folder.read_dir() else { return };
    for file in files.flatten() {
        let Ok(name) = file.file_name().into_string() else { continue };
        let (prefix, suffix) = UNFINISHED;
        let unfinished = name.starts_with(prefix) && name.ends_with(suffix);
        if unfinished || (is_installed(&name, &file.path()) && !is_named(&name)) {
            tracing::info!(file = %name, "remove what an earlier stop left in the plugin folder");
            let _ = fs::remove_file(file.path());
        }
    }
}

/// Whether this is a file that [`save`] wrote: `<name>-<sha256>.so`, of these
/// bytes.
fn is_installed(name: &str, path: &Path) -> bool {
    let parts = name.strip_suffix(".so").and_then(|name| name.rsplit_once('-'));
    let Some((plugin, sha256)) = parts else { return false };
    plugin.parse::<PluginName>().is_ok()
        && Sha256Hex::try_from(sha256.to_owned()).is_ok_and(|named| {
            path.symlink_metadata().is_ok_and(|metadata| metadata.is_file())
                && fs::read(path).is_ok_and(|bytes| Sha256Hex::of(&bytes) == named)
        })
}
