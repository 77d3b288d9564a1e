//! The file of a plugin: read once, and what was read is what is checked.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use latchlight_plugin_api::boundary::SYMBOL;
use object::read::{Export, ExportTarget};
use object::{Object as _, ObjectKind, ObjectSegment as _};

use super::load_error::LoadError;
use crate::config::{AllowedPlugin, Sha256Hex};

/// The most bytes that a library may have.
const LARGEST: u64 = 256 * 1024 * 1024;

/// The bytes of an allowed plugin, if they are those that were allowed.
pub(super) fn read_allowed(folder: &Path, allowed: &AllowedPlugin) -> Result<Vec<u8>, LoadError> {
    let bytes = read(&folder.join(&allowed.file)).map_err(|error| match error {
        LoadError::Read(error) => LoadError::ReadFromFolder { folder: folder.to_owned(), error },
        other => other,
    })?;
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
    check_is_whole(&bytes)?;
    Ok(bytes)
}

/// Whether a library is there to its end.
pub(super) fn check_is_whole(bytes: &[u8]) -> Result<(), LoadError> {
    if is_cut_short(bytes) { Err(LoadError::CutShort) } else { Ok(()) }
}

/// Whether a library ends before its segments do. The system would map pages
/// that nothing stands behind, and the first look at one would end the server.
fn is_cut_short(bytes: &[u8]) -> bool {
    let whole =
        |library: object::File<'_>| library.segments().all(|segment| segment.data().is_ok());
    bytes.starts_with(b"\x7fELF") && !object::File::parse(bytes).is_ok_and(whole)
}

/// Whether these bytes look like a plugin, as far as that can be seen without
/// loading them.
pub(super) fn check_is_plugin(bytes: &[u8]) -> Result<(), LoadError> {
    let library = object::File::parse(bytes).map_err(|_| LoadError::NotDynamic)?;
    if library.kind() != ObjectKind::Dynamic {
        return Err(LoadError::NotDynamic);
    }
    let mut exports = library.exports().map_err(|_| LoadError::NotDynamic)?.flatten();
    match exports.any(|export| is_symbol(&export)) {
        true => Ok(()),
        false => Err(LoadError::NoSymbol),
    }
}

/// The API number that a library declares, as it stands in the file; nothing
/// where it is put there only when the library is loaded.
pub(super) fn declared_api(bytes: &[u8]) -> Option<u32> {
    let library = object::File::parse(bytes).ok()?;
    let mut exports = library.exports().ok()?.flatten();
    let ExportTarget::Address { address } = exports.find(is_symbol)?.target() else { return None };
    let mut there = library.segments().map(|segment| segment.data_range(address, 4));
    let number: [u8; 4] = there.find_map(|found| found.ok()?)?.try_into().ok()?;
    Some(match library.is_little_endian() {
        true => u32::from_le_bytes(number),
        false => u32::from_be_bytes(number),
    })
}

fn is_symbol(export: &Export<'_>) -> bool {
    // Mach-O puts an underscore before the names of C.
    let is_it = |name: &[u8]| name.strip_prefix(b"_").unwrap_or(name) == SYMBOL.as_bytes();
    export.name().name().is_some_and(is_it)
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
    fn a_file_is_known_by_the_sha_256_of_its_bytes() {
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Sha256Hex::of(b"abc").as_str(), sha256);
    }

    #[test]
    fn a_program_is_whole_and_no_beginning_of_it_is() {
        let program = std::env::current_exe().expect("this program");
        let bytes = std::fs::read(program).expect("read");
        assert!(!is_cut_short(&bytes));
        for length in [4, 40, 100, 5000, bytes.len() / 10, bytes.len() / 2] {
            assert!(is_cut_short(&bytes[..length]), "{length}");
        }
        assert!(!is_cut_short(b"a text"));
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
