//! `<data>/keys`: the server's own keys and other secrets, for nobody else to
//! read.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The folder of keys.
#[derive(Debug, Clone)]
pub struct KeyFolder(PathBuf);

impl KeyFolder {
    /// The folder in this data folder, made where there is none, and closed to
    /// others.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join("keys");
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        Ok(Self(folder))
    }

    /// What stands in the file of this name, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names of its files.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// Writes a file whole, or not at all; it is on disk when this returns.
    ///
    /// # Errors
    /// The disk did not take it.
    pub fn write(&self, name: &str, contents: &[u8]) -> io::Result<()> {
        // Only its owner may read a temporary file, and so the one that it becomes.
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist(self.0.join(name))?;
        File::open(&self.0)?.sync_all()
    }

    /// Removes a file, if there is one.
    ///
    /// # Errors
    /// It stays.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::open(&self.0)?.sync_all(),
        }
    }

    /// Takes a file out of the way, and gives its new name.
    ///
    /// # Errors
    /// It stays.
    pub fn keep_aside(&self, name: &str) -> io::Result<String> {
        let aside = format!("{name}.torn-{}", jiff::Timestamp::now().as_millisecond());
        fs::rename(self.0.join(name), self.0.join(&aside))?;
        Ok(aside)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_reads_the_keys() {
        let data = tempfile::tempdir().unwrap();
        let open = data.path().join("keys");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
        let keys = KeyFolder::open(data.path()).unwrap();
        keys.write("a.pem", b"secret").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&open), mode(&open.join("a.pem"))), (0o700, 0o600));
        assert_eq!(keys.read("a.pem").unwrap().unwrap(), b"secret");
        assert_eq!(keys.names().unwrap(), ["a.pem"]);
        keys.remove("a.pem").unwrap();
        assert_eq!(keys.read("a.pem").unwrap(), None);
    }
}
