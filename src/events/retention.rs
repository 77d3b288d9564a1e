//! What is kept, and for how long. Nothing is deleted but what lies before a
//! mark; the mark moves forward only, over what the settings do not keep any
//! longer, and the database checks that and records each of its steps itself.

use std::time::Duration;

use jiff::Timestamp;

use crate::commands::RunClock;
use crate::config::EventSettings;
use crate::database::Pool;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// How far the mark moves at a time, and how many rows go with one
/// transaction: commands wait no longer for theirs.
const STEP: i64 = 10_000;
const BATCH: i64 = 500;

/// What comes between two of them has its turn.
const PAUSE: Duration = Duration::from_millis(50);

/// What is so young stays, however many there are.
const LATELY: Duration = Duration::from_secs(60 * 60);

/// The database reads the clock by whole seconds.
const SLACK: Duration = Duration::from_secs(2);

const DELETE: &str = "DELETE FROM events WHERE seq IN (SELECT seq FROM events \
    WHERE seq < (SELECT from_seq FROM events_kept) ORDER BY seq LIMIT $1)";

/// Moves the mark, and removes what lies before it.
pub(super) struct Retention {
    pool: Pool,
    clock: RunClock,
    age: Duration,
    most: i64,
}

impl Retention {
    pub(super) fn new(pool: Pool, settings: &EventSettings) -> Self {
        let most = i64::try_from(settings.kept).unwrap_or(i64::MAX);
        Self { pool, clock: RunClock::start(), age: settings.kept_for(), most }
    }

    /// Looks after the record for ever.
    pub(super) async fn run(&self) {
        loop {
            match self.prune().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "the record of events is pruned"),
                // Nothing is lost by it; the next time is soon enough.
                Err(error) => tracing::warn!(%error, "prune the record of events"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn prune(&self) -> Result<u64, sqlx::Error> {
        // What an earlier run had left to do.
        let mut removed = self.delete().await?;
        while self.step(LATELY, true).await? || self.step(self.age, false).await? {
            removed += self.delete().await?;
        }
        Ok(removed)
    }

    /// Moves the mark over what is older than this: to the newest that are
    /// kept, or without regard to how many there are.
    async fn step(&self, age: Duration, surplus: bool) -> Result<bool, sqlx::Error> {
        let query = "SELECT from_seq, coalesce((SELECT max(seq) FROM events), 0) FROM events_kept";
        let (mark, newest): (i64, i64) = sqlx::query_as(query).fetch_one(&self.pool).await?;
        let end = if surplus { newest.saturating_sub(self.most) + 1 } else { newest };
        let end = end.min(mark + STEP);
        if end <= mark {
            return Ok(false);
        }
        let query = "SELECT min(seq) FROM events WHERE seq >= $1 AND seq < $2 AND at >= $3";
        let stays: Option<i64> = sqlx::query_scalar(query)
            .bind(mark)
            .bind(end)
            .bind(self.before(age))
            .fetch_one(&self.pool)
            .await?;
        let moved = stays.unwrap_or(end);
        if moved <= mark {
            return Ok(false);
        }
        sqlx::query("UPDATE events_kept SET from_seq = $1, age_ms = $2, most = $3")
            .bind(moved)
            .bind(i64::try_from(self.age.as_millis()).unwrap_or(i64::MAX))
            .bind(self.most)
            .execute(&self.pool)
            .await?;
        Ok(true)
    }

    /// So long ago, by both clocks: what either of them takes for young stays.
    fn before(&self, age: Duration) -> i64 {
        let age = age + SLACK;
        let wall = Timestamp::now().as_millisecond();
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        self.clock.before(age).min(wall.saturating_sub(age_ms))
    }

    async fn delete(&self) -> Result<u64, sqlx::Error> {
        let mut removed = 0;
        loop {
            let gone = sqlx::query(DELETE).bind(BATCH).execute(&self.pool).await?.rows_affected();
            removed += gone;
            if gone < BATCH.unsigned_abs() {
                return Ok(removed);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
