//! The rows of a table: read one after the other, written some at a time.

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use sqlx::any::AnyArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Row as _};

use super::super::{Connection, Dialect, Row};
use super::digest::Digest;
use super::schema::{Kind, Table};

/// How many rows are written with one statement, and how many bytes of them
/// are kept for it, about; a statement has room for so many values.
const ROWS: usize = 500;
const BYTES: usize = 1024 * 1024;
const VALUES: usize = 30_000;

/// What stands in one place of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    fn read(row: &Row, index: usize, kind: Kind) -> Result<Self, sqlx::Error> {
        let value = match kind {
            Kind::Integer => row.try_get::<Option<_>, _>(index)?.map(Self::Integer),
            Kind::Real => row.try_get::<Option<_>, _>(index)?.map(Self::Real),
            Kind::Text => row.try_get::<Option<_>, _>(index)?.map(Self::Text),
            Kind::Bytes => row.try_get::<Option<_>, _>(index)?.map(Self::Bytes),
        };
        Ok(value.unwrap_or(Self::Null))
    }

    /// PostgreSQL has no place for U+0000 in a text, and the server puts the
    /// same in its place. Gives whether it did.
    fn without_nul(&mut self) -> bool {
        match self {
            Self::Text(text) if text.contains('\0') => {
                *text = text.replace('\0', "\u{fffd}");
                true
            }
            _ => false,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Null | Self::Integer(_) | Self::Real(_) => 8,
        }
    }
}

/// What was moved of a table.
#[derive(Debug, Default)]
pub(super) struct Moved {
    pub(super) digest: Digest,
    /// Texts in which U+FFFD stands for U+0000.
    pub(super) altered: u64,
}

/// How many rows a table has.
pub(super) async fn count(connection: &mut Connection, table: &Table) -> Result<u64, sqlx::Error> {
    let count = format!("SELECT count(*) FROM {}", table.quoted());
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(connection).await?;
    Ok(count.unsigned_abs())
}

/// Reads every row, and calls this with each as it comes: the database sends
/// no more than is taken.
async fn read<E: AsyncFnMut(Vec<Value>) -> anyhow::Result<()>>(
    connection: &mut Connection,
    table: &Table,
    mut each: E,
) -> anyhow::Result<()> {
    let failed = || format!("read the table {}", table.name);
    let select = format!("SELECT {} FROM {}", table.column_list(), table.quoted());
    let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(connection);
    while let Some(row) = rows.try_next().await.with_context(failed)? {
        let values = table.columns.values().enumerate();
        let values = values.map(|(index, kind)| Value::read(&row, index, *kind));
        each(values.collect::<Result<_, _>>().with_context(failed)?).await?;
    }
    Ok(())
}

/// Reads every row for its digest.
pub(super) async fn digest(
    connection: &mut Connection,
    table: &Table,
    mut told: impl FnMut(u64),
) -> anyhow::Result<Digest> {
    let mut digest = Digest::default();
    let each = async |row: Vec<Value>| {
        digest.add(&row);
        told(digest.rows);
        Ok(())
    };
    read(connection, table, each).await?;
    Ok(digest)
}

/// Reads every row of one database, and writes it into the other.
pub(super) async fn copy(
    from: &mut Connection,
    to: &mut Connection,
    of: Dialect,
    table: &Table,
    mut told: impl FnMut(u64),
) -> anyhow::Result<Moved> {
    let mut moved = Moved::default();
    let (mut waiting, mut bytes) = (Vec::new(), 0);
    let most = ROWS.min(VALUES / table.columns.len().max(1));
    let each = async |mut row: Vec<Value>| {
        if of == Dialect::Postgres {
            let altered = row.iter_mut().filter_map(|value| value.without_nul().then_some(()));
            moved.altered += altered.count() as u64;
        }
        moved.digest.add(&row);
        bytes += row.iter().map(Value::bytes).sum::<usize>();
        waiting.push(row);
        if waiting.len() >= most || bytes >= BYTES {
            write(to, of, table, std::mem::take(&mut waiting)).await?;
            bytes = 0;
            told(moved.digest.rows);
        }
        Ok(())
    };
    read(from, table, each).await?;
    if !waiting.is_empty() {
        write(to, of, table, waiting).await?;
    }
    Ok(moved)
}

async fn write(
    connection: &mut Connection,
    dialect: Dialect,
    table: &Table,
    rows: Vec<Vec<Value>>,
) -> anyhow::Result<()> {
    // Numbers that the database would give by itself come along.
    let overriding = match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres => " OVERRIDING SYSTEM VALUE",
    };
    let (name, columns) = (table.quoted(), table.column_list());
    let mut insert = format!("INSERT INTO {name} ({columns}){overriding} VALUES ");
    let mut values = AnyArguments::default();
    for (number, row) in rows.into_iter().enumerate() {
        insert.push_str(if number == 0 { "(" } else { ", (" });
        for (index, (value, kind)) in row.into_iter().zip(table.columns.values()).enumerate() {
            bind(&mut values, value, *kind);
            let comma = if index == 0 { "" } else { ", " };
            insert.push_str(&format!("{comma}${}", values.len()));
        }
        insert.push(')');
    }
    let query = sqlx::query_with(AssertSqlSafe(insert), values);
    query.execute(connection).await.with_context(|| format!("write the table {}", table.name))?;
    Ok(())
}

fn bind(values: &mut AnyArguments, value: Value, kind: Kind) {
    let bound = match (value, kind) {
        (Value::Null, Kind::Integer) => values.add(None::<i64>),
        (Value::Null, Kind::Real) => values.add(None::<f64>),
        (Value::Null, Kind::Text) => values.add(None::<String>),
        (Value::Null, Kind::Bytes) => values.add(None::<Vec<u8>>),
        (Value::Integer(number), _) => values.add(number),
        (Value::Real(number), _) => values.add(number),
        (Value::Text(text), _) => values.add(text),
        (Value::Bytes(bytes), _) => values.add(bytes),
    };
    bound.expect("numbers, text and bytes can be bound");
}
