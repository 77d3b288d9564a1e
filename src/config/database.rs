//! `database`: where commands, keys and pictures are recorded.

use serde::Deserialize;

/// The settings of the database.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSettings {
    /// `sqlite://<path>`; without it, `latchlight.db` in the data folder.
    pub url: Option<String>,
}

impl DatabaseSettings {
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.url {
            Some(url) if !url.starts_with("sqlite:") => {
                // The URL may hold a password, so only its scheme is shown.
                let scheme = url.split(':').next().unwrap_or_default();
                Err(format!(
                    "database.url: `{scheme}` is not supported: sqlite://<path>, or nothing for latchlight.db in the data folder"
                ))
            }
            _ => Ok(()),
        }
    }
}
