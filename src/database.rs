//! The database: SQLite in the data folder, its schema brought up to date at
//! every start.

mod writer;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqliteConnection, SqlitePool};

use crate::config::DatabaseSettings;
use crate::telemetry::one_line;

pub use writer::Writer;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The database in the data folder; its log and index stand beside it.
pub const FILE: &str = "latchlight.db";

/// An open database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    /// The connections. What is committed on one is on disk.
    pub pool: SqlitePool,
    /// The one by which the records are written.
    pub writer: Writer,
}

/// What is wrong with the pages of a database.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Torn(String);

async fn check(pool: &SqlitePool) -> anyhow::Result<()> {
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(pool).await?;
    if found == "ok" { Ok(()) } else { Err(Torn(found).into()) }
}

/// Whether the file is no database, or not a whole one.
fn is_torn(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let code = cause.downcast_ref::<sqlx::Error>();
        let code = code.and_then(|error| error.as_database_error()?.code());
        // SQLITE_CORRUPT and SQLITE_NOTADB, in the lowest byte of what extends them.
        let code = code.and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xFF);
        matches!(code, Some(11 | 26)) || cause.is::<Torn>()
    })
}

/// Renames the files of the database; gives the new name of the first.
fn keep_aside(data: &Path) -> std::io::Result<PathBuf> {
    let aside = format!("{FILE}.torn-{}", jiff::Timestamp::now().as_millisecond());
    for part in ["-wal", "-shm", ""] {
        let named = data.join(format!("{FILE}{part}"));
        match std::fs::rename(named, data.join(format!("{aside}{part}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(data.join(aside))
}

/// Whether a connection may be used again. Where a disk is full, SQLite ends a
/// transaction by itself; sqlx then takes it for open, and no other one could
/// begin on this connection any more.
async fn is_whole(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // What was to be rolled back is, when this has been answered.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

impl Database {
    /// Opens the database, makes it where there is none, and migrates it. One
    /// that is torn is kept aside, said in the log, and begun anew.
    ///
    /// # Errors
    /// It cannot be opened or written, or its schema is of a newer server.
    pub async fn open(settings: &DatabaseSettings, data: &Path) -> anyhow::Result<Self> {
        match Self::open_as_it_is(settings, data).await {
            Err(error) if is_torn(&error) && settings.url.is_none() => {
                let kept = keep_aside(data).context("keep the torn database aside")?;
                tracing::error!(
                    kept = %kept.display(), error = one_line(&error),
                    "the database is torn: it is kept aside and begun anew, without what was \
                     recorded of events, commands, retries and pictures"
                );
                Self::open_as_it_is(settings, data).await
            }
            opened => opened,
        }
    }

    async fn open_as_it_is(settings: &DatabaseSettings, data: &Path) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        let options = match &settings.url {
            Some(url) => SqliteConnectOptions::from_str(url).context("read database.url")?,
            None => SqliteConnectOptions::new().filename(&path),
        };
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was acknowledged outlives a power cut, not only a crash.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(5))
            .after_release(|connection, _| Box::pin(is_whole(connection)))
            .connect_with(options)
            .await
            .with_context(|| match &settings.url {
                Some(_) => "open the database at database.url".to_owned(),
                None => format!("open the database {}", path.display()),
            })?;
        let checked = check(&pool).await.context("check the database");
        let migrated = match checked {
            Ok(()) => MIGRATIONS.run(&pool).await.context("migrate the database"),
            Err(error) => Err(error),
        };
        if let Err(error) = migrated {
            pool.close().await;
            return Err(error);
        }
        let writer = Writer::new(&pool);
        Ok(Self { pool, writer })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// What it said instead.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(|_| ())
    }

    /// Closes all connections, after what they are doing.
    pub async fn close(&self) {
        self.writer.close().await;
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_connection_whose_transaction_sqlite_has_ended_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap();
        for _ in 0..10 {
            let mut transaction = database.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
            // As SQLite does by itself when the disk is full.
            sqlx::query("ROLLBACK").execute(&mut *transaction).await.unwrap();
            assert!(transaction.commit().await.is_err());
        }
    }
}
