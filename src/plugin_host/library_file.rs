//! The file of a plugin: read once, and what was read is what is checked.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::load_error::LoadError;
use crate::config::{AllowedPlugin, Sha256Hex};

/// The most bytes that a library may have.
const LARGEST: u64 = 256 * 1024 * 1024;

/// The bytes of an allowed plugin, if they are those that were allowed.
pub(super) fn read_allowed(folder: &Path, allowed: &AllowedPlugin) -> Result<Vec<u8>, LoadError> {
    let bytes = read(&folder.join(&allowed.file))?;
    let found = Sha256Hex::of(&bytes);
    if found != allowed.sha256 {
        return Err(LoadError::Changed { found, allowed: allowed.sha256.clone() });
    }
    Ok(bytes)
}

/// The bytes of a regular file, not reached through a link.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let named = path.symlink_metadata().map_err(LoadError::Read)?;
    if !named.is_file() {
        return Err(LoadError::NotAFile);
    }
    let file = File::open(path).map_err(LoadError::Read)?;
    let opened = file.metadata().map_err(LoadError::Read)?;
    // A link that took the file's place meanwhile leads to another one.
    if (opened.dev(), opened.ino()) != (named.dev(), named.ino()) {
        return Err(LoadError::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(LoadError::Read)?;
    if bytes.len() as u64 > LARGEST {
        return Err(LoadError::TooLarge(LARGEST));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(file: &str, bytes: &[u8]) -> AllowedPlugin {
        AllowedPlugin {
            file: file.to_owned(),
            sha256: Sha256Hex::of(bytes),
            grants: Default::default(),
            settings: Default::default(),
        }
    }

    #[test]
    fn a_file_that_changed_is_not_read_as_the_allowed_one() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("p.so"), b"one").expect("write");
        assert_eq!(read_allowed(folder.path(), &allowed("p.so", b"one")).expect("same"), b"one");
        let changed = read_allowed(folder.path(), &allowed("p.so", b"two"));
        assert!(matches!(changed, Err(LoadError::Changed { .. })));
    }

    #[test]
    fn a_link_is_not_followed_even_to_the_allowed_bytes() {
        let folder = tempfile::tempdir().expect("folder");
        let outside = tempfile::NamedTempFile::new().expect("outside");
        std::fs::write(outside.path(), b"one").expect("write");
        std::os::unix::fs::symlink(outside.path(), folder.path().join("p.so")).expect("link");
        let linked = read_allowed(folder.path(), &allowed("p.so", b"one"));
        assert!(matches!(linked, Err(LoadError::NotAFile)));
    }
}
