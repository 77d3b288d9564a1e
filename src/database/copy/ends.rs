//! The two databases: the one that is read, and the one that is written.

use anyhow::{Context as _, ensure};
use sqlx::migrate::Migrator;
use sqlx::{Any, AssertSqlSafe, Connection as _, Executor as _, Transaction};

use super::super::connector::Connector;
use super::super::{Connection, Dialect};
use super::schema::{Schema, count_tables, versions};

/// A connection is silent while the other one works, and PostgreSQL would end
/// its transaction.
const PATIENT: &str = "SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0";

/// One of the two. While it is there, no server has the database.
pub(super) struct End {
    pub(super) name: String,
    pub(super) dialect: Dialect,
    connector: Connector,
    connection: Connection,
}

impl End {
    pub(super) async fn connect(connector: Connector) -> anyhow::Result<Self> {
        let name = connector.name();
        let connect = connector.connect_at_start().await;
        let mut connection = connect.with_context(|| format!("open {name}"))?;
        let dialect = connector.dialect;
        if dialect == Dialect::Postgres {
            connection.execute(PATIENT).await?;
        }
        Ok(Self { name, dialect, connector, connection })
    }

    /// Begins to read it as it is at this moment.
    pub(super) async fn read(&mut self) -> anyhow::Result<(Transaction<'_, Any>, Schema)> {
        let begin = match self.dialect {
            Dialect::Sqlite => "BEGIN",
            Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        let mut reading = self.connection.begin_with(begin).await?;
        let has = versions(&mut reading).await.with_context(|| {
            format!("{} is none of Latchlight's, or no server has used it yet", self.name)
        })?;
        let wants = self.connector.migrations();
        let wants = wants.iter().map(|one| (one.version, one.checksum.to_vec())).collect();
        ensure!(
            has == wants,
            "{} is of another version of Latchlight: start the server of this version on it once, \
             stop it, and try again",
            self.name
        );
        let schema = Schema::read(&mut reading, self.dialect).await?;
        Ok((reading, schema))
    }

    /// Begins to write it: it has the tables, and no row in them.
    pub(super) async fn write(&mut self) -> anyhow::Result<(Transaction<'_, Any>, Schema)> {
        let mut writing = self.connection.begin().await?;
        let tables = count_tables(&mut writing, self.dialect).await?;
        ensure!(
            tables == 0,
            "{} is not empty: there are {tables} tables in it. Take another one, or empty this one",
            self.name
        );
        let migrations: &Migrator = self.connector.migrations();
        migrations.run(&mut *writing).await.with_context(|| format!("make {}", self.name))?;
        let schema = Schema::read(&mut writing, self.dialect).await?;
        Ok((writing, schema))
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        self.connection.close().await
    }
}

/// Removes the rows with which tables begin.
pub(super) async fn empty(connection: &mut Connection, schema: &Schema) -> anyhow::Result<()> {
    for table in schema.0.iter().rev() {
        let delete = format!("DELETE FROM {}", table.quoted());
        connection.execute(AssertSqlSafe(delete)).await?;
    }
    Ok(())
}
