//! What waits for a PostgreSQL that was away is given to it when it is back:
//! in its order, each batch once. A row that it will never take is put aside,
//! and that row alone; for everything else that is wrong it is waited.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;

use super::backlog::{Backlog, Batch};
use super::writer::{Inner, Place, Writer, execute, in_time};
use super::{Connection, postgres};

/// How soon it is looked whether it is back.
const AGAIN: Duration = Duration::from_secs(1);

/// How often it is looked whether it is still there, and this server's: without
/// its connection another one may take it.
const WATCH: Duration = Duration::from_secs(5);

/// The database did not take what an earlier run could not write.
#[derive(Debug, thiserror::Error)]
#[error("what waits for the database is not taken: {0}")]
pub(super) struct NotTaken(#[from] sqlx::Error);

impl Writer {
    /// Writes what an earlier run could not.
    pub(super) async fn catch_up(&self) -> anyhow::Result<()> {
        let Some(backlog) = &self.0.backlog else { return Ok(()) };
        let waiting = backlog.waiting();
        let mut place = self.0.place.lock().await;
        let Some(mut connection) = place.connection.take() else { return Ok(()) };
        let written = self.0.write_all(backlog, &mut connection).await;
        place.newest = written.map_err(NotTaken)?;
        backlog.clear().await.context("clear what waited for the database")?;
        place.connection = Some(connection);
        if waiting > 0 {
            tracing::info!(bytes = waiting, "nothing waits for the database any more");
        }
        Ok(())
    }

    /// Has somebody wait until the database is back; before anything waits, so
    /// that nothing does for nobody.
    pub(super) fn wait_from_now_on(&self, place: &mut Place, error: &sqlx::Error) {
        self.0.note(error);
        self.0.is_away.store(true, Ordering::SeqCst);
        if !std::mem::replace(&mut place.waits, true) {
            tokio::spawn(self.clone().wait_for_it());
        }
    }

    /// Looks again and again whether PostgreSQL is still there, so that it is
    /// known before somebody needs it; as long as there is a writer.
    pub(super) fn keep_watch(&self) {
        if self.0.backlog.is_none() {
            return;
        }
        let (inner, closed) = (Arc::downgrade(&self.0), self.0.closed.clone());
        tokio::spawn(closed.run_until_cancelled_owned(async move {
            loop {
                tokio::time::sleep(WATCH).await;
                let Some(inner) = inner.upgrade() else { return };
                Self(inner).look().await;
            }
        }));
    }

    async fn look(&self) {
        let mut place = self.0.place.lock().await;
        let Some(mut connection) = place.connection.take() else { return };
        match in_time(connection.ping()).await {
            Ok(()) => place.connection = Some(connection),
            Err(error) => {
                tracing::error!(%error, "the database is away: what is recorded waits for it");
                self.wait_from_now_on(&mut place, &error);
            }
        }
    }

    async fn wait_for_it(self) {
        let mut said = None;
        let waiting = async {
            loop {
                tokio::time::sleep(AGAIN).await;
                let Err(error) = self.0.come_back().await else { break };
                let why = self.0.note(&error);
                let error = error.to_string();
                if said.as_ref() != Some(&error) {
                    tracing::warn!(error, "the database: {why}");
                }
                said = Some(error);
            }
            tracing::info!("the database is back, and nothing waits for it any more");
        };
        self.0.closed.run_until_cancelled(waiting).await;
    }
}

impl Inner {
    /// In words that anybody may read; the log has the rest.
    fn note(&self, error: &sqlx::Error) -> &'static str {
        let is_lost = postgres::is_used(error);
        self.is_lost.store(is_lost, Ordering::SeqCst);
        let why = match error {
            _ if is_lost => "another server uses it, or did a moment ago",
            error if postgres::is_away(error) => "it is away",
            _ => "it does not take what waits for it",
        };
        *self.why.lock() = why;
        why
    }

    /// Connects, and writes what waits; what comes meanwhile waits behind it.
    async fn come_back(&self) -> Result<(), sqlx::Error> {
        let Some(backlog) = &self.backlog else { return Ok(()) };
        let mut connection = self.connector.connect().await?;
        self.settle_doubt(backlog, &mut connection).await?;
        loop {
            let mark = self.write_all(backlog, &mut connection).await?;
            let mut place = self.place.lock().await;
            if place.doubt.is_none() && backlog.clear().await? {
                place.newest = place.newest.max(mark);
                place.connection = Some(connection);
                place.waits = false;
                self.is_away.store(false, Ordering::SeqCst);
                self.is_lost.store(false, Ordering::SeqCst);
                return Ok(());
            }
        }
    }

    /// What is in doubt is there, or is written now. Whoever was connected
    /// before has let go of the database, so that nothing changes any more.
    async fn settle_doubt(
        &self,
        backlog: &Backlog,
        connection: &mut Connection,
    ) -> Result<(), sqlx::Error> {
        let Some(doubt) = self.place.lock().await.doubt.clone() else { return Ok(()) };
        if doubt.id > mark(connection, backlog.writer()).await? {
            self.write_batch(backlog, connection, &doubt).await?;
        }
        let mut place = self.place.lock().await;
        // Or the file has it by now, and the mark says that it is done.
        place.doubt.take_if(|still| still.id == doubt.id);
        self.committed.send_replace(());
        Ok(())
    }

    /// Writes what is in the file; gives the mark behind it.
    async fn write_all(
        &self,
        backlog: &Backlog,
        connection: &mut Connection,
    ) -> Result<Uuid, sqlx::Error> {
        // An answer may have been lost, and what it was about is there.
        let mut mark = mark(connection, backlog.writer()).await?;
        while let Some(batch) = backlog.next(mark).await? {
            self.write_batch(backlog, connection, &batch).await?;
            mark = batch.id;
            backlog.advance().await?;
            self.committed.send_replace(());
        }
        Ok(mark)
    }

    async fn write_batch(
        &self,
        backlog: &Backlog,
        connection: &mut Connection,
        batch: &Batch,
    ) -> Result<(), sqlx::Error> {
        match execute(connection, batch, backlog.writer()).await {
            Err(error) if postgres::is_refused(&error) => {
                self.write_rows(backlog, connection, batch).await
            }
            executed => executed,
        }
    }

    /// One row after the other, in one transaction with the batch's mark: none
    /// takes its neighbours along.
    async fn write_rows(
        &self,
        backlog: &Backlog,
        connection: &mut Connection,
        batch: &Batch,
    ) -> Result<(), sqlx::Error> {
        let rows = match serde_json::from_str::<Vec<Value>>(&batch.rows) {
            Ok(rows) => rows.into_iter().map(|row| Value::Array(vec![row]).to_string()).collect(),
            // Somebody was at the file: all of it is put aside.
            Err(_) => vec![batch.rows.clone()],
        };
        let mut transaction = in_time(connection.begin()).await?;
        for rows in rows {
            let mut one = in_time(transaction.begin()).await?;
            let statement = AssertSqlSafe(batch.statement.clone());
            let written = in_time(sqlx::query(statement).bind(&*rows).execute(&mut *one)).await;
            match written {
                Ok(_) => in_time(one.commit()).await?,
                Err(error) if postgres::is_refused(&error) => {
                    in_time(one.rollback()).await?;
                    tracing::error!(
                        %error, batch = %batch.id,
                        "the database refuses a record that waited for it: it is put aside"
                    );
                    let refused = Batch { rows, ..batch.clone() };
                    backlog.put_aside(&refused, &error.to_string()).await?;
                    self.counts.put_aside();
                }
                Err(error) => return Err(error),
            }
        }
        let mark = sqlx::query(postgres::MARK_ALONE).bind(batch.id.to_string());
        in_time(mark.bind(backlog.writer()).execute(&mut *transaction)).await?;
        in_time(transaction.commit()).await
    }
}

/// Up to which batch the database has those of this server.
async fn mark(connection: &mut Connection, writer: &str) -> Result<Uuid, sqlx::Error> {
    let mark = sqlx::query_scalar(postgres::LAST_BATCH).bind(writer).fetch_one(connection);
    let mark: String = in_time(mark).await?;
    // Empty, where there was none yet.
    Ok(mark.parse().unwrap_or_default())
}
