//! Which of the two databases it is, where that makes a difference.

use sqlx::any::AnyConnectOptions;

/// What the database understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite: a file.
    Sqlite,
    /// PostgreSQL: a server.
    Postgres,
}

/// A statement that the two do not understand in the same words.
#[derive(Debug, Clone, Copy)]
pub struct Wording {
    /// In SQLite's.
    pub sqlite: &'static str,
    /// In PostgreSQL's.
    pub postgres: &'static str,
}

impl Dialect {
    pub(super) fn of(options: &AnyConnectOptions) -> Self {
        match options.database_url.scheme() {
            "postgres" | "postgresql" => Self::Postgres,
            _ => Self::Sqlite,
        }
    }
}
