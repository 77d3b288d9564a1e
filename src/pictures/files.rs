//! The files of pictures. All of this blocks.

use std::path::Path;

/// How the names of files begin whose row is not written yet.
const UNFINISHED: &str = ".upload-";

/// A folder for the server's eyes only.
pub(super) fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

/// The bytes on disk, under a name that says that no row describes them yet.
pub(super) fn write_unfinished(
    folder: &Path,
    bytes: &[u8],
) -> std::io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Gives a file the name by which it is described.
pub(super) fn finish(
    file: tempfile::NamedTempFile,
    folder: &Path,
    name: &str,
) -> std::io::Result<()> {
    file.persist_noclobber(folder.join(name))?;
    sync_folder(folder)
}

/// Removes a file, so that it stays away after a power cut too.
pub(super) fn remove(folder: &Path, name: &str) -> std::io::Result<()> {
    match std::fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => sync_folder(folder),
    }
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Removes what uploads left that did not end; how many files.
pub(super) fn sweep(folder: &Path) -> std::io::Result<usize> {
    let mut swept = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            std::fs::remove_file(entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}
