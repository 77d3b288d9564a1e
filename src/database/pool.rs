//! The connections of everybody but the writer. PostgreSQL may stand still, or
//! the network may swallow what is sent: nobody waits for it without end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, Describe, Either, Error, Execute, Executor, SqlStr};

use super::{Dialect, Transaction, postgres};

/// How long PostgreSQL may take for the next row, or for what is not a query
/// by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections, which are made when they are needed; cheap to clone. Each query
/// has its time.
#[derive(Debug, Clone)]
pub struct Pool {
    pub(super) connections: sqlx::AnyPool,
    /// None for a file.
    patience: Option<Duration>,
    /// Another server has the database.
    is_lost: Arc<AtomicBool>,
}

impl Pool {
    pub(super) fn new(
        connections: sqlx::AnyPool,
        dialect: Dialect,
        is_lost: Arc<AtomicBool>,
    ) -> Self {
        let patience = (dialect == Dialect::Postgres).then_some(PATIENCE);
        Self { connections, patience, is_lost }
    }

    /// Closes them, after what they are doing, as long as that has its time.
    pub(super) async fn close(&self) {
        let close = self.connections.close();
        if tokio::time::timeout(PATIENCE, close).await.is_err() {
            tracing::warn!("the database does not answer: its connections are dropped");
        }
    }

    async fn begin(&self) -> Result<Transaction, Error> {
        self.check()?;
        match self.patience {
            None => self.connections.begin_with("BEGIN IMMEDIATE").await,
            Some(_) => {
                let mut transaction = self.connections.begin().await?;
                sqlx::query(postgres::TURN).execute(&mut *transaction).await?;
                Ok(transaction)
            }
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.is_lost.load(Ordering::SeqCst) { Err(postgres::used().into()) } else { Ok(()) }
    }
}

/// Begins a transaction that reads and then writes: no other such one is under
/// way until it ends. It belongs within [`in_time`].
///
/// # Errors
/// The database does not answer, or is busy for too long.
pub async fn begin(pool: &Pool) -> Result<Transaction, Error> {
    pool.begin().await
}

/// What is done with more than one query, in its time: all of a transaction.
///
/// # Errors
/// What it says, or that it took too long.
pub async fn in_time<T, E: From<Error>>(
    pool: &Pool,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match pool.patience {
        None => work.await,
        Some(patience) => {
            tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(late().into()))
        }
    }
}

fn late() -> Error {
    Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database does not answer in time"))
}

/// A connection that is given up meanwhile is not used again.
impl<'p> Executor<'p> for &'_ Pool {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        E: 'q + Execute<'q, Any>,
    {
        if let Err(error) = self.check() {
            return stream::iter([Err(error)]).boxed();
        }
        let rows = (&self.connections).fetch_many(query);
        let Some(patience) = self.patience else { return rows };
        let in_time = stream::unfold(Some(rows), move |rows| async move {
            let mut rows = rows?;
            match tokio::time::timeout(patience, rows.next()).await {
                Ok(row) => Some((row?, Some(rows))),
                Err(_) => Some((Err(late()), None)),
            }
        });
        in_time.boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        E: 'q + Execute<'q, Any>,
    {
        let pool = self.clone();
        Box::pin(async move {
            pool.check()?;
            in_time(&pool, (&pool.connections).fetch_optional(query)).await
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(
            async move { in_time(&pool, (&pool.connections).prepare_with(sql, parameters)).await },
        )
    }
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { in_time(&pool, (&pool.connections).describe(sql)).await })
    }
}
