//! `database`: where commands, keys and pictures are recorded.

use std::fmt;

use serde::Deserialize;

/// The settings of the database.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSettings {
    /// `sqlite://<path>` or `postgres://<user>@<host>/<database>`; without it,
    /// `latchlight.db` in the data folder.
    pub url: Option<String>,
}

/// With the scheme of the URL only: it may hold a password.
impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSettings").field("url", &self.scheme()).finish()
    }
}

impl DatabaseSettings {
    /// Whether it is a PostgreSQL server.
    pub fn is_postgres(&self) -> bool {
        matches!(self.scheme(), Some("postgres" | "postgresql"))
    }

    fn scheme(&self) -> Option<&str> {
        self.url.as_ref().map(|url| url.split(':').next().unwrap_or_default())
    }

    /// Looks whether it is one of those that there are.
    ///
    /// # Errors
    /// It is not; this says what would be.
    pub fn check(&self) -> Result<(), String> {
        match self.scheme() {
            None | Some("sqlite" | "postgres" | "postgresql") => Ok(()),
            Some(scheme) => Err(format!(
                "database.url: `{scheme}` is not supported: sqlite://<path>, postgres://<user>@<host>/<database>, or nothing for latchlight.db in the data folder"
            )),
        }
    }
}
