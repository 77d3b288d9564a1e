//! A YAML or JSON file as a typed value: every mistake is named with its path,
//! and no value is shown, for it may be a secret.

mod place;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON (RFC 8259).
    Json,
    /// YAML 1.2.
    Yaml,
}

/// Why a file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It cannot be read.
    #[error("{path}: it cannot be read: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// It does not say what it should.
    #[error("{}{mistake}", path.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default())]
    Mistake {
        /// The file, where it is one.
        path: Option<PathBuf>,
        /// What is wrong, and where.
        mistake: String,
    },
}

impl DocumentError {
    /// A mistake that the reader of a value has found.
    pub fn mistake(mistake: impl Into<String>) -> Self {
        Self::Mistake { path: None, mistake: mistake.into() }
    }

    /// The same, with the file that it is in.
    #[must_use]
    pub fn in_file(self, file: &Path) -> Self {
        match self {
            Self::Mistake { mistake, .. } => Self::Mistake { path: Some(file.to_owned()), mistake },
            read @ Self::Read { .. } => read,
        }
    }
}

impl Format {
    /// What a file is written in: as its name says, or else as its first
    /// character does.
    pub fn of(path: &Path, text: &str) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Self::Json,
            Some("yaml" | "yml") => Self::Yaml,
            _ if text.trim_start().starts_with('{') => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// Reads a file.
///
/// # Errors
/// It cannot be read, is no YAML or JSON, or is not what `T` is read from.
pub fn read_file<T: DeserializeOwned>(path: &Path) -> Result<T, DocumentError> {
    read_and_check(path, Ok)
}

/// Reads a file, and has what was read checked, and changed, by this: where a
/// mistake that it finds begins with a path, as in `users.alice: …`, the place
/// of that in the file is said too.
///
/// # Errors
/// As [`read_file`], and what the check finds.
pub fn read_and_check<T: DeserializeOwned>(
    path: &Path,
    check: impl FnOnce(T) -> Result<T, DocumentError>,
) -> Result<T, DocumentError> {
    let text = read_text(path)?;
    let format = Format::of(path, &text);
    let checked = read_str(&text, format).and_then(|value| {
        check(value).map_err(|error| match error {
            DocumentError::Mistake { path: None, mistake } => {
                DocumentError::mistake(place::said(&mistake, &text, format))
            }
            error => error,
        })
    });
    checked.map_err(|error| error.in_file(path))
}

fn read_text(path: &Path) -> Result<String, DocumentError> {
    let bytes = std::fs::read(path)
        .map_err(|error| DocumentError::Read { path: path.to_owned(), error })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let good = String::from_utf8_lossy(good);
        let line = good.matches('\n').count() + 1;
        let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let what = format!("it is no UTF-8 text (line {line}, column {column})");
        DocumentError::mistake(what).in_file(path)
    })
}

/// Reads a text.
///
/// # Errors
/// As [`read_file`].
pub fn read_str<T: DeserializeOwned>(text: &str, format: Format) -> Result<T, DocumentError> {
    // What was cut off at its beginning, as by who writes it anew at this
    // moment, is not taken for one that says nothing.
    let says_something = |line: &str| !matches!(line.trim().chars().next(), None | Some('#'));
    if !text.lines().any(says_something) {
        return Err(DocumentError::mistake("nothing is in it; `{}` would be everything's default"));
    }
    match format {
        Format::Json => read_json(text),
        Format::Yaml => read_yaml(text),
    }
    .map_err(DocumentError::mistake)
}

/// Writes a value in YAML.
///
/// # Errors
/// It has what YAML has no place for.
pub fn to_yaml<T: Serialize>(value: &T) -> Result<String, DocumentError> {
    // A long text stays on its line.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| DocumentError::mistake(error.to_string()))
}

fn read_json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        let said = error.to_string();
        // The place is said here, and not before a path that is the whole.
        let place = format!(" at line {} column {}", error.line(), error.column());
        let said = said.strip_suffix(&place).unwrap_or(&said);
        describe(&path, said, error.line(), error.column())
    })?;
    json.end().map_err(|error| {
        let (line, column) = (error.line(), error.column());
        describe(".", "something follows after its end", line, column)
    })?;
    Ok(value)
}

fn read_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    let mut path = None;
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        serde_path_to_error::deserialize(yaml).map_err(|error| {
            path = Some(error.path().to_string());
            error.into_inner()
        })
    })
    .map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((0, 0), |location| (as_usize(location.line()), as_usize(location.column())));
        let said = match &error {
            serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
                format!("`{key}` stands here twice")
            }
            error => error.to_string(),
        };
        let place = format!(" at line {line}, column {column}");
        let said = said.strip_suffix(&place).unwrap_or(&said);
        describe(path.as_deref().unwrap_or("."), said, line, column)
    })
}

fn as_usize(number: impl TryInto<usize>) -> usize {
    number.try_into().unwrap_or(0)
}

fn describe(path: &str, said: &str, line: usize, column: usize) -> String {
    let said = without_values(said);
    // What is left of a path where the text ends, or a key is no good.
    match path.strip_suffix(".?").unwrap_or(path) {
        "." | "?" => format!("{said} (line {line}, column {column})"),
        path => format!("{path}: {said} (line {line}, column {column})"),
    }
}

/// What serde says of a wrong type or value, without the value.
fn without_values(said: &str) -> String {
    let Some((kind, rest)) = said.strip_prefix("invalid ").and_then(|rest| rest.split_once(": "))
    else {
        return said.to_owned();
    };
    let expected = rest.rsplit_once(", expected ").map(|(_, expected)| expected);
    let found = rest.split(['"', '`']).next().unwrap_or_default().trim_end().trim_end_matches(',');
    match expected {
        Some(expected) if !found.contains(", expected") => {
            format!("invalid {kind}: {found}, expected {expected}")
        }
        _ => said.to_owned(),
    }
}
