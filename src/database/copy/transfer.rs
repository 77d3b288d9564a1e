//! The whole of it, in its order.

use std::path::Path;

use anyhow::{Context as _, ensure};
use sqlx::{AssertSqlSafe, Executor as _};

use super::super::connector::Connector;
use super::super::{BACKLOG, Connection, Dialect, sqlite};
use super::ends::{End, empty};
use super::rows::{self, Moved};
use super::schema::{Schema, Table};
use super::sequences;
use super::triggers::Triggers;
use crate::config::DatabaseSettings;

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The table that is being copied, or read again.
    pub table: &'a str,
    /// How many rows of it are.
    pub rows: u64,
    /// How many there are.
    pub of: u64,
    /// Whether they are read again.
    pub checks: bool,
}

/// What was copied, and found to be the same in both.
#[derive(Debug)]
pub struct Copied {
    /// What the source is called, without its password.
    pub from: String,
    /// What the target is called.
    pub to: String,
    /// Every table.
    pub tables: Vec<CopiedTable>,
    /// Texts in which U+FFFD stands for U+0000, for which PostgreSQL has no
    /// place.
    pub altered: u64,
}

/// One of them.
#[derive(Debug)]
pub struct CopiedTable {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
}

/// Copies all records. No server may run on either meanwhile; who has the
/// configuration for itself has the source, too.
///
/// # Errors
/// The source is of another version, or something waits for it; the target is
/// not empty; one of them cannot be read or written, or does not have what was
/// written. There is nothing in the target then.
pub async fn copy(
    from: &DatabaseSettings,
    to: &DatabaseSettings,
    data: &Path,
    mut told: impl FnMut(Progress<'_>),
) -> anyhow::Result<Copied> {
    sqlx::any::install_default_drivers();
    let waits = data.join(BACKLOG);
    ensure!(
        !std::fs::metadata(&waits).is_ok_and(|file| file.len() > 0),
        "{} has records that wait for a PostgreSQL: start the server on that once, stop it, and \
         try again",
        waits.display()
    );
    if let Some(file) = sqlite::file(from, data)? {
        ensure!(file.exists(), "there is no {}: has the server never run?", file.display());
    }
    let mut source = End::connect(Connector::new(from, data)?).await?;
    let connector = Connector::new(to, data).context("where the records are to go")?;
    let mut target = End::connect(connector).await?;
    let tables = copy_between(&mut source, &mut target, &mut told).await?;
    let copied = Copied {
        from: source.name.clone(),
        to: target.name.clone(),
        altered: tables.iter().map(|(_, moved)| moved.altered).sum(),
        tables: tables
            .into_iter()
            .map(|(name, moved)| CopiedTable { name, rows: moved.digest.rows })
            .collect(),
    };
    target.close().await.context("close the target")?;
    source.close().await.context("close the source")?;
    Ok(copied)
}

async fn copy_between(
    source: &mut End,
    target: &mut End,
    told: &mut impl FnMut(Progress<'_>),
) -> anyhow::Result<Vec<(String, Moved)>> {
    let (of, to) = (source.dialect, target.dialect);
    let (mut reading, schema) = source.read().await?;
    let (mut writing, made) = target.write().await?;
    schema.must_be(&made)?;
    let triggers = Triggers::away(&mut writing, to, &schema).await?;
    empty(&mut writing, &schema).await?;
    let mut all = Vec::new();
    for table in &schema.0 {
        let moved = copy_table(&mut reading, &mut writing, to, table, told).await?;
        all.push((table.name.clone(), moved));
    }
    let last = sequences::read(&mut reading, of).await?;
    sequences::write(&mut writing, to, &last).await?;
    triggers.back(&mut writing).await?;
    check(&mut writing, &schema, &all, told).await?;
    if to == Dialect::Postgres {
        // It would choose its ways by what it knows of empty tables.
        for table in &schema.0 {
            let analyze = format!("ANALYZE {}", table.quoted());
            writing.execute(AssertSqlSafe(analyze)).await?;
        }
    }
    writing.commit().await.context("commit what was copied")?;
    reading.rollback().await?;
    Ok(all)
}

async fn copy_table(
    reading: &mut Connection,
    writing: &mut Connection,
    to: Dialect,
    table: &Table,
    told: &mut impl FnMut(Progress<'_>),
) -> anyhow::Result<Moved> {
    let of = rows::count(reading, table).await?;
    let mut tell = |rows| told(Progress { table: &table.name, rows, of, checks: false });
    let moved = rows::copy(reading, writing, to, table, &mut tell).await?;
    ensure!(moved.digest.rows == of, "the table {} was not read to its end", table.name);
    tell(of);
    Ok(moved)
}

/// Reads again what was written.
async fn check(
    writing: &mut Connection,
    schema: &Schema,
    all: &[(String, Moved)],
    told: &mut impl FnMut(Progress<'_>),
) -> anyhow::Result<()> {
    for (table, (_, moved)) in schema.0.iter().zip(all) {
        let (table_name, of) = (&table.name, moved.digest.rows);
        let tell = |rows| told(Progress { table: table_name, rows, of, checks: true });
        let there = rows::digest(writing, table, tell).await?;
        ensure!(
            there == moved.digest,
            "the table {table_name} does not have what was written into it: {} rows of {of}, or \
             others; nothing of the copy is kept",
            there.rows
        );
    }
    Ok(())
}
