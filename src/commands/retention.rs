//! What is kept on record, and for how long: a command that has ended goes
//! after some time, or when there are too many; one that has not, never.

use std::time::Duration;

use super::idempotency;
use super::run_clock::RunClock;
use crate::config::CommandSettings;
use crate::database::Pool;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// How many rows go with one transaction: commands wait no longer for theirs.
const BATCH: i64 = 500;

/// What comes between two of them has its turn.
const PAUSE: Duration = Duration::from_millis(50);

/// What ended so lately stays, however many there are: who says its id again
/// is told of it, and not obeyed twice.
const LATELY: Duration = Duration::from_secs(60 * 60);

const OLD: &str = "DELETE FROM commands WHERE id IN \
    (SELECT id FROM commands WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)";

/// Removes from the record what is not kept any longer.
pub(super) struct Retention {
    pool: Pool,
    clock: RunClock,
    age: Duration,
    most: u64,
}

impl Retention {
    pub(super) fn new(pool: Pool, clock: RunClock, settings: &CommandSettings) -> Self {
        Self { pool, clock, age: settings.kept_for(), most: settings.kept }
    }

    /// Looks after the record for ever.
    pub(super) async fn run(&self) {
        loop {
            match self.prune().await {
                Ok(0) => {}
                Ok(removed) => tracing::debug!(removed, "the record is pruned"),
                // Nothing is lost by it; the next time is soon enough.
                Err(error) => tracing::warn!(%error, "prune the record of commands"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn prune(&self) -> Result<u64, sqlx::Error> {
        let old = self.prune_older_than(self.age, i64::MAX).await?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM commands WHERE ended_at >= 0")
            .fetch_one(&self.pool)
            .await?;
        let most = i64::try_from(self.most).unwrap_or(i64::MAX);
        let too_many = self.prune_older_than(LATELY, count.saturating_sub(most)).await?;
        Ok(old + too_many + self.prune_keys().await?)
    }

    /// Removes what ended longer ago than this, the oldest first.
    async fn prune_older_than(&self, age: Duration, mut most: i64) -> Result<u64, sqlx::Error> {
        let mut removed = 0;
        while most > 0 {
            let batch = BATCH.min(most);
            let query = sqlx::query(OLD).bind(self.clock.before(age)).bind(batch);
            let gone = query.execute(&self.pool).await?.rows_affected();
            removed += gone;
            most -= batch;
            if gone < batch.unsigned_abs() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(removed)
    }

    async fn prune_keys(&self) -> Result<u64, sqlx::Error> {
        let mut removed = 0;
        loop {
            let query =
                sqlx::query(idempotency::OLD).bind(self.clock.before(idempotency::KEPT_FOR));
            let gone = query.bind(BATCH).execute(&self.pool).await?.rows_affected();
            removed += gone;
            if gone < BATCH.unsigned_abs() {
                return Ok(removed);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
