//! The triggers, which must not do anew what they have done: the rows that
//! they made are moved, too.

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::super::{Connection, Dialect};
use super::schema::{Schema, Table, quoted};

/// Triggers that are away, until [`Self::back`], or for good where the
/// transaction ends before.
pub(super) enum Triggers<'a> {
    /// In the words that make them.
    Sqlite(Vec<String>),
    Postgres(&'a [Table]),
}

impl<'a> Triggers<'a> {
    pub(super) async fn away(
        connection: &mut Connection,
        dialect: Dialect,
        schema: &'a Schema,
    ) -> anyhow::Result<Self> {
        match dialect {
            Dialect::Sqlite => {
                let read = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'";
                let mut made_by = Vec::new();
                for row in sqlx::query(read).fetch_all(&mut *connection).await? {
                    let drop = format!("DROP TRIGGER {}", quoted(row.try_get(0)?));
                    connection.execute(AssertSqlSafe(drop)).await?;
                    made_by.push(row.try_get(1)?);
                }
                Ok(Self::Sqlite(made_by))
            }
            Dialect::Postgres => {
                switch(connection, &schema.0, "DISABLE").await?;
                Ok(Self::Postgres(&schema.0))
            }
        }
    }

    pub(super) async fn back(self, connection: &mut Connection) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(made_by) => {
                for words in made_by {
                    let made = connection.execute(AssertSqlSafe(words)).await;
                    made.context("make a trigger again")?;
                }
                Ok(())
            }
            Self::Postgres(tables) => switch(connection, tables, "ENABLE").await,
        }
    }
}

/// Those of keys, which PostgreSQL has as triggers, too, stay.
async fn switch(connection: &mut Connection, tables: &[Table], word: &str) -> anyhow::Result<()> {
    for table in tables {
        let alter = format!("ALTER TABLE {} {word} TRIGGER USER", table.quoted());
        connection.execute(AssertSqlSafe(alter)).await?;
    }
    Ok(())
}
