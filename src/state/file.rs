//! config.json on disk: read as a whole, written through a temporary file.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use tempfile::NamedTempFile;

/// How the names of this writer's temporary files end; those that a crash
/// left behind are removed at the next start.
const TEMPORARY_SUFFIX: &str = ".unfinished";

/// config.json: the path, and how to read and replace what is there.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
}

/// The two sections, each as the text that stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sections {
    /// The user's section, byte for byte.
    pub settings: String,
    /// The server's section.
    pub state: String,
}

/// Why config.json could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file is not there or cannot be opened.
    #[error("read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such file.
    #[error(
        "there is no {path}: --config names the configuration, and to begin with one, `{{\"settings\": {{}}, \"state\": {{}}}}` is enough"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is no JSON of the documented shape; nothing was overwritten.
    #[error("{path}, line {line}, column {column}: {message}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// 1-based.
        line: usize,
        /// 1-based.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// The folder cannot take a new file, so the state could not be saved.
    #[error(
        "write to the folder {folder}: {source} (the configuration is replaced through a temporary file beside it, so the server must be allowed to create files there)"
    )]
    Folder {
        /// The folder that holds config.json.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The new file could not be written or put in place; the old one stands.
    #[error("write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSections<'a> {
    #[serde(borrow, default)]
    settings: Option<&'a RawValue>,
    #[serde(borrow, default)]
    state: Option<&'a RawValue>,
}

impl ConfigFile {
    /// The file at `path`; nothing is touched yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that holds the file.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Checks that the file can be replaced, and removes what a crash left.
    ///
    /// # Errors
    /// The folder cannot take a new file.
    pub fn check_writable(&self) -> Result<(), FileError> {
        self.temporary()?;
        let Ok(entries) = fs::read_dir(self.folder()) else { return Ok(()) };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&self.temporary_prefix()) && name.ends_with(TEMPORARY_SUFFIX) {
                tracing::info!(file = %entry.path().display(), "remove what an earlier stop left");
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Reads both sections; a section that is missing is empty.
    ///
    /// # Errors
    /// The file cannot be read, or is not `{"settings": {…}, "state": {…}}`.
    pub fn read(&self) -> Result<Sections, FileError> {
        let text = fs::read_to_string(&self.path).map_err(|source| self.unread(source))?;
        let begin = text.trim_start();
        if begin.starts_with('[') {
            let before = &text[..text.len() - begin.len()];
            return Err(FileError::Malformed {
                path: self.path.clone(),
                line: before.matches('\n').count() + 1,
                column: before.len() - before.rfind('\n').map_or(0, |end| end + 1) + 1,
                message: "a list, not `{\"settings\": {…}, \"state\": {…}}`".to_owned(),
            });
        }
        let raw: RawSections<'_> =
            serde_json::from_str(&text).map_err(|error| FileError::Malformed {
                path: self.path.clone(),
                line: error.line(),
                column: error.column(),
                message: super::syntax::explain(&text, &error),
            })?;
        let section =
            |raw: Option<&RawValue>| raw.map_or_else(|| "{}".to_owned(), |v| v.get().to_owned());
        Ok(Sections { settings: section(raw.settings), state: section(raw.state) })
    }

    /// Replaces the `state` section, leaving the bytes of `settings` as they
    /// are in the file at this moment.
    ///
    /// # Errors
    /// The file cannot be read any more, or the new one cannot be written; the
    /// old one stands.
    pub fn replace_state(&self, state: &str) -> Result<(), FileError> {
        self.stage(state)?.commit()
    }

    /// Writes the new file beside the old one and syncs it.
    fn stage(&self, state: &str) -> Result<Staged<'_>, FileError> {
        let settings = self.read()?.settings;
        let write = |source| FileError::Write { path: self.path.clone(), source };
        let mut temporary = self.temporary()?;
        let text = format!("{{\n  \"settings\": {settings},\n  \"state\": {state}\n}}\n");
        temporary.write_all(text.as_bytes()).map_err(write)?;
        if let Ok(metadata) = fs::metadata(&self.path) {
            // The temporary file is the owner's alone; the user's choice of
            // who may read config.json outlives its replacement.
            temporary.as_file().set_permissions(metadata.permissions()).map_err(write)?;
        }
        temporary.as_file().sync_all().map_err(write)?;
        Ok(Staged { file: self, temporary })
    }

    /// Keeps a copy of the whole file beside it, for a person to look at.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub fn keep_aside(&self) -> Result<PathBuf, FileError> {
        let stamp = jiff::Timestamp::now().as_millisecond();
        let aside = self.folder().join(format!("{}.torn-{stamp}", self.name()));
        fs::copy(&self.path, &aside)
            .map_err(|source| FileError::Write { path: aside.clone(), source })?;
        Ok(aside)
    }

    fn unread(&self, source: io::Error) -> FileError {
        let path = self.path.clone();
        match source.kind() {
            io::ErrorKind::NotFound => FileError::Missing { path },
            _ => FileError::Read { path, source },
        }
    }

    fn name(&self) -> Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }

    /// `.config.json.`; another file beside this one has another.
    fn temporary_prefix(&self) -> String {
        format!(".{}.", self.name())
    }

    fn temporary(&self) -> Result<NamedTempFile, FileError> {
        tempfile::Builder::new()
            .prefix(&self.temporary_prefix())
            .suffix(TEMPORARY_SUFFIX)
            .tempfile_in(self.folder())
            .map_err(|source| FileError::Folder { folder: self.folder().to_owned(), source })
    }
}

/// A new config.json that is whole and synced but not yet in place: a crash
/// here leaves the old one.
struct Staged<'a> {
    file: &'a ConfigFile,
    temporary: NamedTempFile,
}

impl Staged<'_> {
    fn commit(self) -> Result<(), FileError> {
        let path = &self.file.path;
        let write = |source| FileError::Write { path: path.clone(), source };
        self.temporary.persist(path).map_err(|error| write(error.error))?;
        // The rename itself lasts only when the folder is synced.
        File::open(self.file.folder()).and_then(|folder| folder.sync_all()).map_err(write)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::state::State;

    fn file_with(text: &str) -> (tempfile::TempDir, ConfigFile) {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("config.json");
        fs::write(&path, text).expect("write");
        (folder, ConfigFile::new(path))
    }

    fn names(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).expect("list").flatten();
        let mut names: Vec<_> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_bytes_of_settings_survive_a_write() {
        let settings = "{ \"b\" :1.50,\n\t\"a\": \"\\u00e9 é\"  }";
        let (_folder, file) = file_with(&format!("{{\"state\":{{}}, \"settings\": {settings} }}"));
        file.replace_state("{\"devices\":{}}").expect("replace");
        let sections = file.read().expect("read");
        assert_eq!(sections.settings, settings);
        assert_eq!(sections.state, "{\"devices\":{}}");
    }

    #[test]
    fn settings_edited_meanwhile_are_kept() {
        let (_folder, file) = file_with("{\"settings\":{\"a\":1}}");
        let staged = file.read().expect("read");
        assert_eq!(staged.settings, "{\"a\":1}");
        fs::write(file.path(), "{\"settings\":{\"a\":2}}").expect("edit");
        file.replace_state("{}").expect("replace");
        assert_eq!(file.read().expect("read").settings, "{\"a\":2}");
    }

    #[test]
    fn a_malformed_file_is_refused_with_line_and_column_and_left_alone() {
        let text = "{\n  \"settings\": {\n    \"log\" {}\n  }\n}\n";
        let (_folder, file) = file_with(text);
        let error = file.replace_state("{}").expect_err("malformed");
        assert!(error.to_string().contains("line 3, column 11"), "{error}");
        assert_eq!(fs::read_to_string(file.path()).expect("read"), text);
    }

    #[test]
    fn a_third_section_is_refused_by_name() {
        let (_folder, file) = file_with("{\"setings\": {}}");
        let error = file.read().expect_err("unknown section");
        assert!(error.to_string().contains("unknown field `setings`"), "{error}");
    }

    /// Where this is set, the test below is the process that is killed: it
    /// stages this config.json, says so, and goes no further.
    const STAGE: &str = "LATCHLIGHT_TEST_STAGE";

    #[test]
    fn c7_kill_9_between_write_and_rename_leaves_the_old_file_and_the_next_start_cleans_up() {
        const THIS: &str = "state::file::tests::c7_kill_9_between_write_and_rename_leaves_the_old_file_and_the_next_start_cleans_up";
        if let Some(path) = std::env::var_os(STAGE) {
            let file = ConfigFile::new(path);
            let _staged = file.stage("{\"devices\":{}}").expect("stage");
            eprintln!("staged");
            loop {
                std::thread::park();
            }
        }
        let text = "{\"settings\":{\"a\":1},\"state\":{\"actions\":{\"lock\":\"built-in\"}}}";
        let (folder, file) = file_with(text);
        for killed in 1..=2 {
            let mut child = Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", THIS, "--nocapture"])
                .env(STAGE, file.path())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("start");
            let mut said = BufReader::new(child.stderr.take().expect("its stderr")).lines();
            assert!(said.any(|line| line.expect("a line") == "staged"));
            child.kill().expect("kill");
            assert_eq!(child.wait().expect("wait").signal(), Some(9));
            assert_eq!(fs::read_to_string(file.path()).expect("read"), text);
            assert_eq!(names(&folder).len(), 1 + killed, "{:?}", names(&folder));
        }
        // One that is not even whole, and what is no business of this writer.
        fs::write(folder.path().join(".config.json.x.unfinished"), "{\"sett").expect("write");
        let others = [".config.json.swp", ".other.json.x.unfinished"];
        for other in others {
            fs::write(folder.path().join(other), "mine").expect("write");
        }
        State::open(file.clone()).expect("the next start");
        assert_eq!(names(&folder), [others[0], others[1], "config.json"]);
        assert_eq!(fs::read_to_string(file.path()).expect("read"), text);
        file.replace_state("{}").expect("the next write");
        assert_eq!(names(&folder).len(), 3, "{:?}", names(&folder));
    }

    #[test]
    fn what_is_kept_aside_has_the_name_of_its_file() {
        let (folder, file) = file_with("{}");
        let other = ConfigFile::new(folder.path().join("c.json"));
        fs::copy(file.path(), other.path()).expect("copy");
        let aside = other.keep_aside().expect("kept");
        assert!(aside.to_string_lossy().contains("/c.json.torn-"), "{}", aside.display());
    }

    #[test]
    fn a_folder_that_takes_no_file_is_named() {
        let file = ConfigFile::new("/proc/latchlight/config.json");
        let error = file.check_writable().expect_err("not writable");
        assert!(error.to_string().contains("/proc/latchlight"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn the_mode_of_the_file_is_kept() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, file) = file_with("{}");
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).expect("chmod");
        file.replace_state("{}").expect("replace");
        let mode = fs::metadata(file.path()).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
}
