//! The connection by which the records are written. SQLite has one writer at a
//! time: those who share a connection wait for each other here, in their
//! order, rather than ask again and again for SQLite's lock; and it knows the
//! newest pages as long as nobody else writes. PostgreSQL numbers events one
//! after the other, and who has this connection has the database for itself.
//!
//! PostgreSQL may go away. What is to be written meanwhile goes to a file
//! (`backlog.rs`), and from there to the database when it is back: once, in its
//! order, before anything newer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use prometheus_client::registry::Registry;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Batch};
use super::connector::Connector;
use super::counts::Counts;
use super::{Connection, Wording, postgres};

/// A PostgreSQL that takes longer for a batch is taken for gone.
const PATIENCE: Duration = Duration::from_secs(3);

/// How soon it is looked whether it is back.
const AGAIN: Duration = Duration::from_secs(1);

/// Writes rows; cheap to clone, all clones share one connection.
#[derive(Debug, Clone)]
pub struct Writer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: Connector,
    place: Mutex<Place>,
    committed: watch::Sender<()>,
    counts: Counts,
    /// For PostgreSQL.
    backlog: Option<Backlog>,
    closed: CancellationToken,
}

#[derive(Debug)]
struct Place {
    /// Made anew after an error.
    connection: Option<Connection>,
    /// Somebody waits until the database is back.
    waits: bool,
}

impl Writer {
    pub(super) fn new(
        connector: Connector,
        connection: Connection,
        backlog: Option<Backlog>,
    ) -> Self {
        let place = Mutex::new(Place { connection: Some(connection), waits: false });
        let (committed, counts) = (watch::Sender::default(), Counts::default());
        let closed = CancellationToken::new();
        Self(Arc::new(Inner { connector, place, committed, counts, backlog, closed }))
    }

    /// Executes one statement, which takes all rows, so many, as one JSON
    /// array: one transaction, and one trip to the database. On disk when this
    /// returns: in the database, or in the file of what waits for it.
    ///
    /// # Errors
    /// Neither took it.
    pub async fn write(
        &self,
        statement: &Wording,
        rows: String,
        count: usize,
    ) -> Result<(), sqlx::Error> {
        let Inner { place, committed, counts, backlog, .. } = &*self.0;
        let came = Instant::now();
        let mut place = place.lock().await;
        let began = Instant::now();
        counts.waited(began - came);
        let written = match backlog {
            None => self.0.write_to_file(&mut place, statement.sqlite, rows).await,
            Some(backlog) => self.write_or_wait(&mut place, backlog, statement, rows).await,
        };
        drop(place);
        match &written {
            Ok(()) => {
                counts.wrote(count, began.elapsed());
                committed.send_replace(());
            }
            Err(_) => counts.failed(),
        }
        written
    }

    async fn write_or_wait(
        &self,
        place: &mut Place,
        backlog: &Backlog,
        statement: &Wording,
        rows: String,
    ) -> Result<(), sqlx::Error> {
        let batch = Batch {
            id: uuid::Uuid::now_v7().to_string(),
            statement: statement.postgres.to_owned(),
            rows: without_nul(&rows).into_owned(),
        };
        if backlog.waiting() == 0 && !place.waits {
            match self.0.write_now(place, &batch).await {
                Ok(()) => return Ok(()),
                Err(error) if !postgres::is_away(&error) => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "the database is away: what is recorded waits for it");
                }
            }
        }
        backlog.push(&batch).await?;
        if !std::mem::replace(&mut place.waits, true) {
            tokio::spawn(self.clone().wait_for_it());
        }
        Ok(())
    }

    /// How many bytes wait until the database is back; 0: it is not away.
    pub fn waiting(&self) -> u64 {
        self.0.backlog.as_ref().map_or(0, Backlog::waiting)
    }

    /// Tells, from now on, when something was written.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.0.committed.subscribe()
    }

    /// What is counted of writes, for Prometheus.
    pub(super) fn register_counts(&self, registry: &mut Registry) {
        self.0.counts.register(registry);
    }

    /// Writes what an earlier run could not.
    pub(super) async fn catch_up(&self) -> anyhow::Result<()> {
        let Some(backlog) = &self.0.backlog else { return Ok(()) };
        let waiting = backlog.waiting();
        if waiting == 0 {
            return Ok(());
        }
        let mut place = self.0.place.lock().await;
        if let Some(mut connection) = place.connection.take() {
            let written = self.0.write_all(backlog, &mut connection).await;
            written.context("write what waited for the database")?;
            backlog.clear().await.context("clear what waited for the database")?;
            place.connection = Some(connection);
            tracing::info!(bytes = waiting, "what waited for the database is on record");
        }
        Ok(())
    }

    async fn wait_for_it(self) {
        let mut said = None;
        let waiting = async {
            loop {
                tokio::time::sleep(AGAIN).await;
                match self.0.come_back().await {
                    Ok(()) => break,
                    Err(error) => {
                        let why = error.to_string();
                        if said.as_ref() != Some(&why) {
                            tracing::warn!(error = why, "the database is still away");
                        }
                        said = Some(why);
                    }
                }
            }
            tracing::info!("the database is back, and what waited for it is on record");
        };
        self.0.closed.run_until_cancelled(waiting).await;
    }

    /// Closes the connection, after what it is doing: the last one that is
    /// closed has the database in one file.
    pub(super) async fn close(&self) {
        self.0.closed.cancel();
        if let Some(connection) = self.0.place.lock().await.connection.take() {
            let _ = connection.close().await;
        }
        if self.waiting() > 0 {
            tracing::warn!("the database is away: what waits for it is written at the next start");
        }
    }
}

impl Inner {
    /// SQLite's connection that failed, or was given up half way, is not used
    /// again.
    async fn write_to_file(
        &self,
        place: &mut Place,
        statement: &'static str,
        rows: String,
    ) -> Result<(), sqlx::Error> {
        let mut connection = match place.connection.take() {
            Some(connection) => connection,
            None => self.connector.connect().await?,
        };
        sqlx::query(statement).bind(rows).execute(&mut connection).await?;
        place.connection = Some(connection);
        Ok(())
    }

    /// Nor is PostgreSQL's.
    async fn write_now(&self, place: &mut Place, batch: &Batch) -> Result<(), sqlx::Error> {
        let mut connection = match place.connection.take() {
            Some(connection) => connection,
            // Also one that lets the server in no more is away.
            None => self.connector.connect().await.map_err(std::io::Error::other)?,
        };
        execute(&mut connection, batch).await?;
        place.connection = Some(connection);
        Ok(())
    }

    /// Connects, and writes what waits; what comes meanwhile waits behind it.
    async fn come_back(&self) -> Result<(), sqlx::Error> {
        let Some(backlog) = &self.backlog else { return Ok(()) };
        let mut connection = self.connector.connect().await?;
        loop {
            self.write_all(backlog, &mut connection).await?;
            let mut place = self.place.lock().await;
            if backlog.clear().await? {
                place.connection = Some(connection);
                place.waits = false;
                return Ok(());
            }
        }
    }

    async fn write_all(
        &self,
        backlog: &Backlog,
        connection: &mut Connection,
    ) -> Result<(), sqlx::Error> {
        // Its answer may have been lost, and that it is there not.
        let last = sqlx::query_scalar(postgres::LAST_BATCH).fetch_one(&mut *connection).await?;
        backlog.skip(last).await?;
        while let Some(batch) = backlog.next().await? {
            let refused = match execute(connection, &batch).await {
                Ok(()) => false,
                Err(error) if postgres::is_away(&error) => return Err(error),
                Err(error) => {
                    tracing::error!(
                        %error, batch = batch.id,
                        "the database refuses what waited for it: it is kept aside"
                    );
                    true
                }
            };
            backlog.advance(refused).await?;
            self.committed.send_replace(());
        }
        Ok(())
    }
}

/// In one transaction with its mark.
async fn execute(connection: &mut Connection, batch: &Batch) -> Result<(), sqlx::Error> {
    let statement = format!("{}{}", postgres::MARK, batch.statement);
    let query = sqlx::query(AssertSqlSafe(statement)).bind(&*batch.rows).bind(&*batch.id);
    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    let written = tokio::time::timeout(PATIENCE, query.execute(connection)).await;
    written.map_err(late)?.map(|_| ())
}

/// PostgreSQL has no place for U+0000 in a text. One row with it, which a
/// device may have said, holds up none of the others.
fn without_nul(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u0000") {
        return Cow::Borrowed(json);
    }
    let mut cleaned = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escaped) = rest.split_at(at);
        cleaned.push_str(before);
        let (replaced, length) =
            if escaped.starts_with("\\u0000") { ("\\ufffd", 6) } else { (&escaped[..2], 2) };
        cleaned.push_str(replaced);
        rest = &escaped[length..];
    }
    cleaned.push_str(rest);
    Cow::Owned(cleaned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_postgresql_cannot_keep_is_replaced_and_nothing_else() {
        for text in ["", "plain", "\u{0}", "a\u{0}b\u{0}", "\\u0000", "\\\u{0}\\\\", "\"\n\u{1}ü"]
        {
            let json = serde_json::to_string(text).unwrap();
            let kept: String = serde_json::from_str(&without_nul(&json)).unwrap();
            assert_eq!(kept, text.replace('\u{0}', "\u{fffd}"));
        }
    }
}
