//! The connection by which the records are written. SQLite has one writer at a
//! time: those who share a connection wait for each other here, in their
//! order, rather than ask again and again for SQLite's lock; and it knows the
//! newest pages as long as nobody else writes. PostgreSQL numbers events one
//! after the other, and who has this connection has the database for itself.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use sqlx::Connection as _;
use tokio::sync::{Mutex, watch};

use super::connector::Connector;
use super::counts::Counts;
use super::{Connection, Dialect, Wording};

/// A database that takes longer for a batch is taken for gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes rows; cheap to clone, all clones share one connection.
#[derive(Debug, Clone)]
pub struct Writer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: Connector,
    /// Made anew after an error.
    connection: Mutex<Option<Connection>>,
    committed: watch::Sender<()>,
    counts: Counts,
}

impl Writer {
    pub(super) fn new(connector: Connector, connection: Connection) -> Self {
        let connection = Mutex::new(Some(connection));
        let (committed, counts) = (watch::Sender::default(), Counts::default());
        Self(Arc::new(Inner { connector, connection, committed, counts }))
    }

    /// Executes one statement, which takes all rows, so many, as one JSON
    /// array: one transaction, and one trip to the database. On disk when this
    /// returns.
    ///
    /// # Errors
    /// The database did not take it, and nothing of it is there; or its answer
    /// was lost, and nobody knows.
    pub async fn write(
        &self,
        statement: &Wording,
        rows: String,
        count: usize,
    ) -> Result<(), sqlx::Error> {
        let Inner { connection, committed, counts, .. } = &*self.0;
        let came = Instant::now();
        let mut place = connection.lock().await;
        let began = Instant::now();
        counts.waited(began - came);
        let written = self.execute(&mut place, statement, rows).await;
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

    async fn execute(
        &self,
        place: &mut Option<Connection>,
        statement: &Wording,
        rows: String,
    ) -> Result<(), sqlx::Error> {
        let connector = &self.0.connector;
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => connector.connect().await?,
        };
        let rows = match connector.dialect {
            Dialect::Sqlite => rows,
            Dialect::Postgres => without_nul(&rows).into_owned(),
        };
        // One that failed, or was given up half way, is not used again.
        let query = sqlx::query(statement.for_(connector.dialect)).bind(rows);
        let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        let written = tokio::time::timeout(PATIENCE, query.execute(&mut connection)).await;
        written.map_err(late)??;
        *place = Some(connection);
        Ok(())
    }

    /// Tells, from now on, when something was written.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.0.committed.subscribe()
    }

    /// What is counted of writes, for Prometheus.
    pub(super) fn register_counts(&self, registry: &mut Registry) {
        self.0.counts.register(registry);
    }

    /// Closes the connection, after what it is doing: the last one that is
    /// closed has the database in one file.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.0.connection.lock().await.take() {
            let _ = connection.close().await;
        }
    }
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
