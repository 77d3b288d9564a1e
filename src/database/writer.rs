//! The connection by which the records are written. SQLite has one writer at a
//! time: those who share a connection wait for each other here, in their
//! order, rather than ask again and again for SQLite's lock; and it knows the
//! newest pages as long as nobody else writes. PostgreSQL numbers events one
//! after the other, and who has this connection has the database for itself.
//!
//! PostgreSQL may go away. What is to be written meanwhile goes to a file
//! (`backlog.rs`), and from there to the database when it is back (`replay.rs`):
//! once, in its order, before anything newer.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::backlog::{Backlog, Batch};
use super::connector::Connector;
use super::counts::Counts;
use super::{Connection, Wording, postgres};

/// A PostgreSQL that takes longer for a batch is taken for gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// Writes rows; cheap to clone, all clones share one connection.
#[derive(Debug, Clone)]
pub struct Writer(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) connector: Connector,
    pub(super) place: Mutex<Place>,
    pub(super) committed: watch::Sender<()>,
    pub(super) counts: Counts,
    /// For PostgreSQL.
    pub(super) backlog: Option<Backlog>,
    /// Something waits for it. As in [`Place`], for those who cannot wait.
    pub(super) is_away: AtomicBool,
    /// Another server has it.
    pub(super) is_lost: Arc<AtomicBool>,
    /// What is wrong with it then.
    pub(super) why: parking_lot::Mutex<&'static str>,
    pub(super) closed: CancellationToken,
}

#[derive(Debug)]
pub(super) struct Place {
    /// Made anew after an error.
    pub(super) connection: Option<Connection>,
    /// Somebody waits until the database is back.
    pub(super) waits: bool,
    /// Given to the database, which did not answer, and the file did not take
    /// it. It comes before all that is in the file: while it is here, there is
    /// nothing.
    pub(super) doubt: Option<Batch>,
    /// The id of the newest batch.
    pub(super) newest: Uuid,
}

/// What was to be written is not on record.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// And never will be.
    #[error(transparent)]
    Refused(#[from] sqlx::Error),
    /// Or it is: the database did not answer. It will be when the database is
    /// back, unless the server ends before that.
    #[error("it is not known whether it is on record: the database does not answer, and {0}")]
    InDoubt(io::Error),
}

/// The database did not say that it has written a batch.
enum NotWritten {
    /// It says that it has not, and why.
    Refused(sqlx::Error),
    /// It is away.
    Away(sqlx::Error),
    /// It went away meanwhile.
    InDoubt(sqlx::Error),
}

impl Writer {
    pub(super) fn new(
        connector: Connector,
        connection: Connection,
        backlog: Option<Backlog>,
    ) -> Self {
        let (connection, newest) = (Some(connection), Uuid::nil());
        let place = Mutex::new(Place { connection, waits: false, doubt: None, newest });
        Self(Arc::new(Inner {
            connector,
            place,
            committed: watch::Sender::default(),
            counts: Counts::default(),
            backlog,
            is_away: AtomicBool::new(false),
            is_lost: Arc::default(),
            why: parking_lot::Mutex::default(),
            closed: CancellationToken::new(),
        }))
    }

    /// Executes one statement, which takes all rows, so many, as one JSON
    /// array: one transaction, and one trip to the database. On disk when this
    /// returns: in the database, or in the file of what waits for it.
    ///
    /// # Errors
    /// Neither took it, or it is not known whether the database did.
    pub async fn write(
        &self,
        statement: &Wording,
        rows: String,
        count: usize,
    ) -> Result<(), WriteError> {
        let Inner { place, committed, counts, backlog, .. } = &*self.0;
        let came = Instant::now();
        // Who comes first is first: nobody waits behind more than one statement
        // of each of the others.
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
    ) -> Result<(), WriteError> {
        let batch = Batch {
            id: place.next_id(),
            statement: statement.postgres.to_owned(),
            rows: without_nul(&rows).into_owned(),
        };
        // Not after it was given to the database.
        batch.check().map_err(sqlx::Error::Io)?;
        let mut is_in_doubt = false;
        if !place.waits {
            let error = match self.0.write_now(place, &batch).await {
                Ok(()) => return Ok(()),
                Err(NotWritten::Refused(error)) => return Err(error.into()),
                Err(NotWritten::Away(error)) => error,
                Err(NotWritten::InDoubt(error)) => {
                    is_in_doubt = true;
                    error
                }
            };
            tracing::error!(%error, "the database is away: what is recorded waits for it");
            self.wait_from_now_on(place, &error);
        }
        let pushed = match place.keep_doubt(backlog).await {
            Ok(()) => backlog.push(&batch).await,
            Err(error) => Err(error),
        };
        match pushed {
            Err(error) if is_in_doubt => {
                tracing::error!(%error, "what the database may have or not waits in memory");
                place.doubt = Some(batch);
                Err(WriteError::InDoubt(error))
            }
            pushed => Ok(pushed.map_err(sqlx::Error::Io)?),
        }
    }

    /// How many bytes wait until the database is back.
    pub fn waiting(&self) -> u64 {
        self.0.backlog.as_ref().map_or(0, Backlog::waiting)
    }

    /// Whether the database is away: what is asked of it may be without what
    /// waits for it.
    pub fn is_away(&self) -> bool {
        self.0.is_away.load(Ordering::SeqCst)
    }

    /// What is wrong with it while it is away, in a few words.
    pub fn why_away(&self) -> Option<&'static str> {
        self.is_away().then(|| *self.0.why.lock())
    }

    /// Whether another server has the database, now and later.
    pub(super) fn is_lost(&self) -> Arc<AtomicBool> {
        self.0.is_lost.clone()
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
        self.0.closed.cancel();
        let mut place = self.0.place.lock().await;
        if let Some(connection) = place.connection.take() {
            let _ = tokio::time::timeout(PATIENCE, connection.close()).await;
        }
        let Some(backlog) = &self.0.backlog else { return };
        if let Err(error) = place.keep_doubt(backlog).await {
            tracing::error!(%error, "it stays unknown whether the last records are there");
        }
        if self.waiting() > 0 {
            tracing::warn!("the database is away: what waits for it is written at the next start");
        }
    }
}

impl Place {
    /// The id of a batch: higher than every one before, also where the clock
    /// goes back.
    fn next_id(&mut self) -> Uuid {
        let after = Uuid::from_u128(self.newest.as_u128().saturating_add(1));
        self.newest = Uuid::now_v7().max(after);
        self.newest
    }

    /// Has the file take what is in doubt.
    async fn keep_doubt(&mut self, backlog: &Backlog) -> io::Result<()> {
        if let Some(doubt) = &self.doubt {
            backlog.push(doubt).await?;
            self.doubt = None;
        }
        Ok(())
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
    ) -> Result<(), WriteError> {
        let mut connection = match place.connection.take() {
            Some(connection) => connection,
            None => self.connector.connect().await?,
        };
        sqlx::query(statement).bind(rows).execute(&mut connection).await?;
        place.connection = Some(connection);
        Ok(())
    }

    /// Nor is PostgreSQL's, but where it has said what is wrong.
    async fn write_now(&self, place: &mut Place, batch: &Batch) -> Result<(), NotWritten> {
        let mut connection = match place.connection.take() {
            Some(connection) => connection,
            // Also one that lets the server in no more is away.
            None => self.connector.connect().await.map_err(NotWritten::Away)?,
        };
        let writer = self.backlog.as_ref().map_or("", Backlog::writer);
        let executed = execute(&mut connection, batch, writer).await;
        executed.map_err(|error| match error {
            error if postgres::is_away(&error) && error.as_database_error().is_some() => {
                NotWritten::Away(error)
            }
            error if postgres::is_away(&error) => NotWritten::InDoubt(error),
            error => NotWritten::Refused(error),
        })?;
        place.connection = Some(connection);
        Ok(())
    }
}

/// In one transaction with its mark.
pub(super) async fn execute(
    connection: &mut Connection,
    batch: &Batch,
    writer: &str,
) -> Result<(), sqlx::Error> {
    let statement = AssertSqlSafe(format!("{}{}", postgres::MARK, batch.statement));
    let query = sqlx::query(statement).bind(&*batch.rows).bind(batch.id.to_string()).bind(writer);
    in_time(query.execute(connection)).await.map(|_| ())
}

/// One that takes longer than a batch may is taken for gone.
pub(super) async fn in_time<T>(
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = |_| sqlx::Error::Io(io::ErrorKind::TimedOut.into());
    tokio::time::timeout(PATIENCE, work).await.map_err(late)?
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
