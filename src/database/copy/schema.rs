//! What a database says of its tables.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail, ensure};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::{Connection, Dialect};

/// What sqlx keeps of migrations.
const MIGRATIONS: &str = "_sqlx_migrations";

/// The writer's mark, which is PostgreSQL's alone: it is about what waits in
/// the backlog, and nothing may wait while records are moved.
const MARK: &str = "writer_marks";

/// Each table with its columns and their types, in the order of both.
const OF_SQLITE: &str = "SELECT m.name AS name, c.name AS part, c.type AS kind \
    FROM sqlite_master AS m, pragma_table_info(m.name) AS c \
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.name, c.cid";
const OF_POSTGRES: &str = "SELECT t.table_name::text AS name, c.column_name::text AS part, \
    c.data_type::text AS kind \
    FROM information_schema.tables AS t JOIN information_schema.columns AS c \
        ON c.table_schema = t.table_schema AND c.table_name = t.table_name \
    WHERE t.table_schema = current_schema() AND t.table_type = 'BASE TABLE' \
    ORDER BY t.table_name, c.ordinal_position";

/// Which table's rows refer to which one's.
const REFERENCES_OF_SQLITE: &str = "SELECT m.name AS name, f.\"table\" AS of_table \
    FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table'";
const REFERENCES_OF_POSTGRES: &str = "SELECT t.relname::text AS name, f.relname::text AS of_table \
    FROM pg_constraint AS c JOIN pg_class AS t ON t.oid = c.conrelid \
        JOIN pg_class AS f ON f.oid = c.confrelid \
    WHERE c.contype = 'f' AND t.relnamespace = current_schema()::regnamespace";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Real,
    Text,
    Bytes,
}

/// A table and its columns, by their names in quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: BTreeMap<String, Kind>,
}

/// The tables whose rows are moved, each behind those that it refers to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Schema(pub(super) Vec<Table>);

impl Kind {
    fn parse(declared: &str) -> anyhow::Result<Self> {
        Ok(match declared.to_ascii_lowercase().as_str() {
            "integer" | "bigint" => Self::Integer,
            "real" | "double precision" => Self::Real,
            "text" => Self::Text,
            "blob" | "bytea" => Self::Bytes,
            other => bail!("nothing is known of the type {other}"),
        })
    }
}

impl Table {
    /// Its name as it stands in a statement.
    pub(super) fn quoted(&self) -> String {
        quoted(&self.name)
    }

    /// Its columns in a statement, in the order of their names.
    pub(super) fn column_list(&self) -> String {
        self.columns.keys().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
    }
}

impl Schema {
    /// Reads what the database has.
    pub(super) async fn read(
        connection: &mut Connection,
        dialect: Dialect,
    ) -> anyhow::Result<Self> {
        let (columns, references) = match dialect {
            Dialect::Sqlite => (OF_SQLITE, REFERENCES_OF_SQLITE),
            Dialect::Postgres => (OF_POSTGRES, REFERENCES_OF_POSTGRES),
        };
        let mut tables = BTreeMap::<String, BTreeMap<String, Kind>>::new();
        for row in sqlx::query(columns).fetch_all(&mut *connection).await? {
            let (table, column): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            if table == MIGRATIONS || table == MARK {
                continue;
            }
            let kind = Kind::parse(row.try_get(2)?)
                .with_context(|| format!("the column {column} of the table {table}"))?;
            tables.entry(table).or_default().insert(column, kind);
        }
        let mut refers = BTreeSet::new();
        for row in sqlx::query(references).fetch_all(connection).await? {
            refers.insert((row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?));
        }
        Self::in_order(tables, &refers)
    }

    fn in_order(
        mut left: BTreeMap<String, BTreeMap<String, Kind>>,
        refers: &BTreeSet<(String, String)>,
    ) -> anyhow::Result<Self> {
        let mut tables = Vec::new();
        while !left.is_empty() {
            let waits = |name: &String| {
                refers.iter().any(|(from, to)| from == name && to != name && left.contains_key(to))
            };
            let Some(name) = left.keys().find(|name| !waits(name)).cloned() else {
                bail!("tables refer to each other in a circle: {:?}", left.keys());
            };
            let columns = left.remove(&name).unwrap_or_default();
            tables.push(Table { name, columns });
        }
        Ok(Self(tables))
    }

    /// That both have the same tables, and these the same columns.
    pub(super) fn must_be(&self, other: &Self) -> anyhow::Result<()> {
        let by_name = |schema: &Self| -> BTreeMap<_, _> {
            schema.0.iter().map(|table| (table.name.clone(), table.columns.clone())).collect()
        };
        let (here, there) = (by_name(self), by_name(other));
        for name in here.keys().chain(there.keys()) {
            ensure!(here.get(name) == there.get(name), "the table {name} is not the same in both");
        }
        Ok(())
    }
}

/// How many tables there are, whosoever.
pub(super) async fn count_tables(
    connection: &mut Connection,
    dialect: Dialect,
) -> Result<i64, sqlx::Error> {
    let count = match dialect {
        Dialect::Sqlite => "SELECT count(*) FROM sqlite_master WHERE type = 'table'",
        Dialect::Postgres => "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()",
    };
    sqlx::query_scalar(count).fetch_one(connection).await
}

/// Every version that the database has been brought to, with its checksum.
pub(super) async fn versions(
    connection: &mut Connection,
) -> Result<BTreeMap<i64, Vec<u8>>, sqlx::Error> {
    let read = format!("SELECT version, checksum FROM {MIGRATIONS} WHERE success");
    let rows = sqlx::query(AssertSqlSafe(read)).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// A name as it stands in a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
