//! The files of pictures. All of this blocks.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::{MediaType, PictureId};

/// How the names of files begin that are being written.
const UNFINISHED: &str = ".upload-";

/// A folder for the server's eyes only.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// Writes new files, all of them or none; they are on disk when this returns.
pub(super) fn write(folder: &Path, files: &[(&str, &[u8])]) -> io::Result<()> {
    let mut written = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        written.push((name, file));
    }
    for (name, file) in written {
        if let Err(error) = file.persist_noclobber(folder.join(name)) {
            for (name, _) in files {
                let _ = fs::remove_file(folder.join(name));
            }
            return Err(error.error);
        }
    }
    File::open(folder)?.sync_all()
}

/// Removes files, so that they stay away after a power cut too.
pub(super) fn remove<N: AsRef<Path>>(folder: &Path, names: &[N]) -> io::Result<()> {
    for name in names {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    File::open(folder)?.sync_all()
}

/// What is in the folder of the server's own files: those that were being
/// written, and those of pictures. What has another name is somebody else's.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) unfinished: Vec<String>,
    pub(super) pictures: HashSet<String>,
}

/// Looks what is there.
pub(super) fn look(folder: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    for entry in fs::read_dir(folder)? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        if name.starts_with(UNFINISHED) {
            found.unfinished.push(name);
        } else if is_pictures(&name) {
            found.pictures.insert(name);
        }
    }
    Ok(found)
}

/// Moves files into a folder of their own, made for them.
pub(super) fn set_aside(folder: &Path, names: &[String], aside: &Path) -> io::Result<()> {
    make_folder(aside)?;
    for name in names {
        fs::rename(folder.join(name), aside.join(name))?;
    }
    File::open(aside)?.sync_all()?;
    File::open(folder)?.sync_all()
}

fn is_pictures(name: &str) -> bool {
    let Some((name, extension)) = name.rsplit_once('.') else { return false };
    let id = name.strip_suffix(".thumb").unwrap_or(name);
    let extensions = [MediaType::Jpeg, MediaType::Png].map(MediaType::extension);
    extensions.contains(&extension) && id.parse::<PictureId>().is_ok()
}
