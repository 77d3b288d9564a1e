//! Idempotency keys: the same request twice gets the first one's answer.
//!
//! A key counts per identity and route, for 24 hours; it is on disk before
//! anything is done for it.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::Row as _;

use super::JournalError;
use super::run_clock::RunClock;
use crate::database::{self, Pool};

pub(super) const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes some of those that are older than that.
pub(super) const OLD: &str = "DELETE FROM idempotency_keys WHERE (identity, route, key) IN \
    (SELECT identity, route, key FROM idempotency_keys WHERE created_at < $1 LIMIT $2)";

/// What is known of a request that carries a key.
pub enum Begin {
    /// It is new: do it, then [`Ticket::finish`].
    New(Ticket),
    /// It was answered before: answer the same.
    Replay {
        /// The HTTP status of that answer.
        status: u16,
        /// Its body.
        body: String,
    },
    /// The key was used for something else.
    BodyDiffers,
    /// The same request is being worked on.
    InProgress,
    /// The server stopped while it worked on the same request, or an action
    /// failed half way; what came of it is in the devices' commands, and it is
    /// not done again.
    Interrupted,
}

/// A request under way; dropped without an answer, its key stays taken.
pub struct Ticket {
    pool: Pool,
    identity: String,
    route: String,
    key: String,
}

/// The keys of this run of the server.
#[derive(Clone)]
pub(super) struct IdempotencyKeys {
    pool: Pool,
    clock: RunClock,
    run: String,
}

impl IdempotencyKeys {
    pub(super) fn new(pool: Pool, clock: RunClock) -> Self {
        Self { pool, clock, run: uuid::Uuid::now_v7().to_string() }
    }

    pub(super) async fn begin(
        &self,
        identity: &str,
        route: &str,
        key: &str,
        body: &[u8],
    ) -> Result<Begin, JournalError> {
        database::in_time(&self.pool, self.begin_at_once(identity, route, key, body)).await
    }

    async fn begin_at_once(
        &self,
        identity: &str,
        route: &str,
        key: &str,
        body: &[u8],
    ) -> Result<Begin, JournalError> {
        let hash = Sha256::digest(body).to_vec();
        let mut transaction = database::begin(&self.pool).await?;
        // It counts no more, though it may not have been pruned yet.
        sqlx::query(
            "DELETE FROM idempotency_keys \
             WHERE identity = $1 AND route = $2 AND key = $3 AND created_at < $4",
        )
        .bind(identity)
        .bind(route)
        .bind(key)
        .bind(self.clock.before(KEPT_FOR))
        .execute(&mut *transaction)
        .await?;
        let taken = sqlx::query(
            "INSERT INTO idempotency_keys (identity, route, key, body_hash, run, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(identity)
        .bind(route)
        .bind(key)
        .bind(&hash)
        .bind(&self.run)
        .bind(self.clock.now())
        .execute(&mut *transaction)
        .await?;
        if taken.rows_affected() == 1 {
            transaction.commit().await?;
            return Ok(Begin::New(Ticket {
                pool: self.pool.clone(),
                identity: identity.to_owned(),
                route: route.to_owned(),
                key: key.to_owned(),
            }));
        }
        let row = sqlx::query(
            "SELECT body_hash, run, status, answer FROM idempotency_keys \
             WHERE identity = $1 AND route = $2 AND key = $3",
        )
        .bind(identity)
        .bind(route)
        .bind(key)
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let status: Option<i64> = row.try_get("status")?;
        let status = status.and_then(|status| u16::try_from(status).ok());
        let answered = (status, row.try_get::<Option<String>, _>("answer")?);
        Ok(match answered {
            _ if row.try_get::<Vec<u8>, _>("body_hash")? != hash => Begin::BodyDiffers,
            (Some(status), Some(body)) => Begin::Replay { status, body },
            _ if row.try_get::<String, _>("run")? == self.run => Begin::InProgress,
            _ => Begin::Interrupted,
        })
    }
}

impl Ticket {
    /// Keeps the answer for whoever asks again; on disk when this returns.
    ///
    /// # Errors
    /// The database did not take it.
    pub async fn finish(self, status: u16, body: &str) -> Result<(), JournalError> {
        self.update("UPDATE idempotency_keys SET status = $1, answer = $2 WHERE identity = $3 AND route = $4 AND key = $5", Some((status, body))).await
    }

    /// Gives the key back: nothing was done for it.
    ///
    /// # Errors
    /// The database did not take it.
    pub async fn release(self) -> Result<(), JournalError> {
        self.update(
            "DELETE FROM idempotency_keys WHERE identity = $1 AND route = $2 AND key = $3",
            None,
        )
        .await
    }

    /// Keeps the key taken without an answer: what was done for it is not
    /// known, so that it is not done again.
    ///
    /// # Errors
    /// The database did not take it.
    pub async fn interrupt(self) -> Result<(), JournalError> {
        self.update(
            "UPDATE idempotency_keys SET run = '' WHERE identity = $1 AND route = $2 AND key = $3",
            None,
        )
        .await
    }

    async fn update(
        self,
        statement: &'static str,
        answer: Option<(u16, &str)>,
    ) -> Result<(), JournalError> {
        let mut query = sqlx::query(statement);
        if let Some((status, body)) = answer {
            query = query.bind(i64::from(status)).bind(body.to_owned());
        }
        query.bind(self.identity).bind(self.route).bind(self.key).execute(&self.pool).await?;
        Ok(())
    }
}
