//! The last numbers that the databases gave by themselves: a number of a row
//! that was removed is not given again.

use std::collections::BTreeMap;

use anyhow::ensure;
use sqlx::{AssertSqlSafe, Row as _};

use super::super::{Connection, Dialect};

/// By their tables.
pub(super) type Sequences = BTreeMap<String, i64>;

const OF_SQLITE: &str = "SELECT name, seq FROM sqlite_sequence";
/// A table, and the name of its sequence as it stands in a statement.
const OF_POSTGRES: &str = "SELECT table_name::text, \
    pg_get_serial_sequence(quote_ident(table_name), column_name) \
    FROM information_schema.columns WHERE table_schema = current_schema() AND is_identity = 'YES'";

/// Those that have given a number.
pub(super) async fn read(
    connection: &mut Connection,
    dialect: Dialect,
) -> Result<Sequences, sqlx::Error> {
    let mut sequences = Sequences::new();
    match dialect {
        Dialect::Sqlite => {
            for row in sqlx::query(OF_SQLITE).fetch_all(connection).await? {
                sequences.insert(row.try_get(0)?, row.try_get(1)?);
            }
        }
        Dialect::Postgres => {
            for (table, sequence) in of_postgres(connection).await? {
                let last = format!(
                    "SELECT CASE WHEN is_called THEN last_value ELSE 0::bigint END FROM {sequence}"
                );
                let last = sqlx::query_scalar(AssertSqlSafe(last));
                sequences.insert(table, last.fetch_one(&mut *connection).await?);
            }
        }
    }
    sequences.retain(|_, last| *last > 0);
    Ok(sequences)
}

/// Has a database go on from there.
pub(super) async fn write(
    connection: &mut Connection,
    dialect: Dialect,
    sequences: &Sequences,
) -> anyhow::Result<()> {
    match dialect {
        Dialect::Sqlite => {
            sqlx::query("DELETE FROM sqlite_sequence").execute(&mut *connection).await?;
            for (table, last) in sequences {
                let insert = sqlx::query("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)");
                insert.bind(table.clone()).bind(last).execute(&mut *connection).await?;
            }
        }
        Dialect::Postgres => {
            for (table, sequence) in of_postgres(connection).await? {
                if let Some(last) = sequences.get(&table) {
                    let set = sqlx::query("SELECT setval($1::text::regclass, $2)");
                    set.bind(sequence).bind(last).execute(&mut *connection).await?;
                }
            }
        }
    }
    let there = read(connection, dialect).await?;
    ensure!(there == *sequences, "the last numbers are not the same in both");
    Ok(())
}

async fn of_postgres(connection: &mut Connection) -> Result<Vec<(String, String)>, sqlx::Error> {
    let rows = sqlx::query(OF_POSTGRES).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
