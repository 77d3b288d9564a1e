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

    /// The key of 32 random bytes in the file of this name, made where there is
    /// none; a torn one is kept aside. The second is whether it was made.
    ///
    /// # Errors
    /// It can be neither read nor made.
    pub fn key(&self, name: &str) -> io::Result<([u8; 32], bool)> {
        if let Some(bytes) = self.read(name)? {
            if let Ok(key) = bytes.try_into() {
                return Ok((key, false));
            }
            let aside = self.keep_aside(name)?;
            tracing::error!(key = name, kept = aside, "the key is torn, and made anew");
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        self.write(name, &key)?;
        Ok((key, true))
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

    #[test]
    fn a_key_stays_and_a_torn_one_is_kept_aside() {
        let data = tempfile::tempdir().unwrap();
        let keys = KeyFolder::open(data.path()).unwrap();
        let (key, made) = keys.key("a.key").unwrap();
        assert!(made);
        assert_eq!(keys.key("a.key").unwrap(), (key, false));
        keys.write("a.key", b"half").unwrap();
        let (new, made) = keys.key("a.key").unwrap();
        assert!(made && new != key && keys.names().unwrap().len() == 2);
    }
}
