//! The database: SQLite in the data folder, or a PostgreSQL server, by the
//! same queries, its schema brought up to date at every start.
//!
//! What is bound and read is `i64`, text, bytes, `f64`, and nothing else; a
//! truth value is an `i64`, 0 or 1 (docs/adr/0009).

mod backlog;
mod connector;
pub mod copy;
mod counts;
mod dialect;
mod pieces;
mod pool;
mod postgres;
mod replay;
mod sqlite;
mod statement;
mod writer;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sqlx::Any;

use crate::config::DatabaseSettings;
use crate::telemetry::one_line;
use backlog::Backlog;
use connector::Connector;
use replay::NotTaken;

pub use backlog::{FILE as BACKLOG, REFUSED as PUT_ASIDE, WRITER};
pub use dialect::{Dialect, Wording};
pub use pieces::pieces;
pub use pool::{Pool, begin, in_time};
pub use sqlite::FILE;
pub use statement::Statement;
pub use writer::{WriteError, Writer};

/// One connection.
pub type Connection = sqlx::AnyConnection;
/// What a query finds.
pub type Row = sqlx::any::AnyRow;
/// Statements that count together or not at all.
pub type Transaction = sqlx::Transaction<'static, Any>;

/// An open database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    /// The connections. What is committed on one is on disk.
    pub pool: Pool,
    /// The one by which the records are written.
    pub writer: Writer,
    /// SQLite's, in the data folder.
    file: Option<PathBuf>,
}

impl Database {
    /// Opens the database, makes its tables where there are none, and migrates
    /// it. A file of SQLite's that is torn is kept aside, said in the log, and
    /// begun anew.
    ///
    /// # Errors
    /// It cannot be opened or written, another server has it, or its schema is
    /// of a newer one.
    pub async fn open(settings: &DatabaseSettings, data: &Path) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let connector = Connector::new(settings, data)?;
        if connector.dialect == Dialect::Postgres {
            let backlog = Backlog::open(data).context("open what waited for the database")?;
            return Self::open_as_it_is(&connector, Some(backlog)).await;
        }
        let file = settings.url.is_none().then(|| data.join(FILE));
        let opened = match Self::open_as_it_is(&connector, None).await {
            Err(error) if sqlite::is_torn(&error) && settings.url.is_none() => {
                let kept = sqlite::keep_aside(data).context("keep the torn database aside")?;
                tracing::error!(
                    kept = %kept.display(), error = one_line(&error),
                    "the database is torn: it is kept aside and begun anew, without accounts, \
                     credentials, codes, and what was recorded of events, commands and pictures: \
                     docs/guides/operators.md says how to restore a backup"
                );
                Self::open_as_it_is(&connector, None).await
            }
            opened => opened,
        };
        Ok(Self { file, ..opened? })
    }

    async fn open_as_it_is(
        connector: &Connector,
        backlog: Option<Backlog>,
    ) -> anyhow::Result<Self> {
        let connect = connector.connect_at_start().await;
        let mut connection = connect.with_context(|| format!("open {}", connector.name()))?;
        connector.prepare(&mut connection).await?;
        let writer = Writer::new(connector.clone(), connection, backlog);
        writer.catch_up().await?;
        writer.keep_watch();
        let is_lost = writer.is_lost();
        let pool = Pool::new(connector.pool(), connector.dialect, is_lost);
        Ok(Self { pool, writer, file: None })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// What it said instead.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(|_| ())
    }

    /// What is counted of the database, for Prometheus.
    pub fn register_counts(&self, registry: &mut Registry) {
        self.writer.register_counts(registry);
        let labelled = |key, values: [(&'static str, u64); 2]| {
            let family = Family::<[(&'static str, &'static str); 1], Gauge>::default();
            for (value, number) in values {
                let number = i64::try_from(number).unwrap_or(i64::MAX);
                family.get_or_create(&[(key, value)]).set(number);
            }
            family
        };
        let idle = self.pool.connections.num_idle() as u64;
        let busy = u64::from(self.pool.connections.size()).saturating_sub(idle);
        let connections = labelled("state", [("idle", idle), ("busy", busy)]);
        let help = "Connections to the database, but for the one that writes records";
        registry.register("database_connections", help, connections);
        let backlog = Gauge::<i64>::default();
        backlog.set(i64::try_from(self.writer.waiting()).unwrap_or(i64::MAX));
        let help = "Bytes of records that wait for a PostgreSQL that is away";
        registry.register("database_backlog_bytes", help, backlog);
        let away = Gauge::<i64>::default();
        away.set(self.writer.is_away().into());
        let help = "Whether PostgreSQL is away, or does not take what waits for it";
        registry.register("database_away", help, away);
        let Some(file) = &self.file else { return };
        let size = |end: &str| {
            let mut path = file.as_os_str().to_owned();
            path.push(end);
            std::fs::metadata(path).map_or(0, |file| file.len())
        };
        let sizes = labelled("file", [("database", size("")), ("log", size("-wal"))]);
        registry.register("database_size_bytes", "Bytes of the database's files", sizes);
    }

    /// Closes all connections, after what they are doing.
    pub async fn close(&self) {
        self.writer.close().await;
        self.pool.close().await;
    }
}

/// Whether a PostgreSQL cannot be opened because it is away, for now, or does
/// not take what waits for it; what else is wrong with it does not mend itself.
pub fn is_away(error: &anyhow::Error) -> bool {
    if error.chain().any(|cause| cause.is::<NotTaken>()) {
        return true;
    }
    let mut said = error.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>());
    said.any(|error| postgres::is_away(error) && !postgres::is_used(error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_connection_whose_transaction_sqlite_has_ended_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap();
        for _ in 0..10 {
            let mut transaction = begin(&database.pool).await.unwrap();
            // As SQLite does by itself when the disk is full.
            sqlx::query("ROLLBACK").execute(&mut *transaction).await.unwrap();
            assert!(transaction.commit().await.is_err());
        }
    }

    #[test]
    fn both_databases_have_the_same_migrations() {
        let names = |migrator: &sqlx::migrate::Migrator| -> Vec<_> {
            migrator.iter().map(|one| (one.version, one.description.clone())).collect()
        };
        assert_eq!(names(&sqlite::MIGRATIONS), names(&postgres::MIGRATIONS));
    }

    #[tokio::test]
    async fn a_folder_may_have_any_name_and_the_file_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["100%", "%41", "a b?c#d&e", "Häuschen"] {
            let data = folder.path().join(name);
            std::fs::create_dir(&data).unwrap();
            let database = Database::open(&DatabaseSettings::default(), &data).await.unwrap();
            database.ping().await.unwrap();
            for part in ["", "-wal"] {
                let file = std::fs::metadata(data.join(format!("{FILE}{part}"))).unwrap();
                assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}{part}");
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}
