//! What is kept on record, and for how long: the oldest messages go, a few at a
//! time, but none that waits for the broker.

use std::time::Duration;

use super::{MessageError, MessageId, rows};
use crate::commands::RunClock;
use crate::config::MessageSettings;
use crate::database::{Pool, Writer};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(60);

/// How many rows go with one transaction: commands and events, which come by the
/// same writer, wait no longer than for these.
const BATCH: i64 = 200;

/// What comes between two of them has its turn.
const PAUSE: Duration = Duration::from_millis(20);

/// Removes from the record what is not kept any longer.
pub(super) struct Retention {
    pool: Pool,
    writer: Writer,
    clock: RunClock,
    age: Duration,
    most: i64,
    most_bytes: i64,
}

impl Retention {
    pub(super) fn new(pool: Pool, writer: Writer, settings: &MessageSettings) -> Self {
        let number = |most: u64| i64::try_from(most).unwrap_or(i64::MAX);
        Self {
            pool,
            writer,
            clock: RunClock::start(),
            age: settings.kept_for(),
            most: number(settings.keep),
            most_bytes: number(settings.keep_bytes),
        }
    }

    /// Looks after the record for ever.
    pub(super) async fn run(&self) {
        loop {
            match self.prune().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "the record of messages is pruned"),
                // Nothing is lost by it; the next time is soon enough.
                Err(error) => tracing::warn!(%error, "prune the record of messages"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn prune(&self) -> Result<u64, MessageError> {
        let before = self.clock.before(self.age);
        let before = jiff::Timestamp::from_millisecond(before).unwrap_or_default();
        let mut removed = 0;
        loop {
            // What waits for a database that is away is for what happens.
            if self.writer.is_away() {
                return Ok(removed);
            }
            let (count, bytes) = rows::total(&self.pool).await?;
            let surplus = (count - self.most).min(BATCH);
            let (before, most) = if surplus > 0 {
                (MessageId::of_i64(i64::MAX), surplus)
            } else if bytes > self.most_bytes {
                // As many as make up for the surplus, by what one has on average.
                let surplus = bytes - self.most_bytes;
                let many = (surplus / (bytes / count.max(1)).max(1)).clamp(1, BATCH);
                (MessageId::of_i64(i64::MAX), many)
            } else {
                (MessageId::first_of(before), BATCH)
            };
            let gone = rows::remove_oldest(&self.pool, &self.writer, before, most).await?;
            removed += gone;
            if gone == 0 {
                return Ok(removed);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
