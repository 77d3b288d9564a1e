//! The numbers of signed commands: each is higher than every one before it,
//! whatever becomes of the server meanwhile. They are reserved in the database
//! many at a time, before the first of them is used; what is left of a
//! reservation when the server ends is never used.
//!
//! They are no lower than the time in milliseconds, so that a database that
//! comes back from a copy of yesterday does not begin again with those of
//! yesterday. A clock that goes back changes nothing: the reservation stands.

use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::database::Pool;

/// How many are reserved with one write: so many commands wait for the disk
/// once.
const BLOCK: i64 = 1000;

/// On disk when it answers: the end of what is reserved now.
const RESERVE: &str = "INSERT INTO command_counter (id, reserved) VALUES (1, $1 + $2) \
    ON CONFLICT (id) DO UPDATE SET reserved = $2 + \
    CASE WHEN command_counter.reserved > $1 THEN command_counter.reserved ELSE $1 END \
    RETURNING reserved";

/// The numbers that are left of the last reservation.
pub(super) struct Counter {
    pool: Pool,
    left: Mutex<Block>,
}

/// Those after `last`, up to `end`.
#[derive(Default)]
struct Block {
    last: i64,
    end: i64,
}

impl Counter {
    /// Nothing is reserved before the first number is needed.
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool, left: Mutex::default() }
    }

    /// The next number; nobody else ever has it.
    ///
    /// # Errors
    /// None could be reserved.
    pub(super) async fn next(&self) -> Result<i64, sqlx::Error> {
        let mut left = self.left.lock().await;
        if left.last >= left.end {
            *left = self.reserve(Timestamp::now()).await?;
        }
        left.last += 1;
        Ok(left.last)
    }

    async fn reserve(&self, now: Timestamp) -> Result<Block, sqlx::Error> {
        let reserve = sqlx::query_scalar::<_, i64>(RESERVE).bind(now.as_millisecond()).bind(BLOCK);
        let end = reserve.fetch_one(&self.pool).await?;
        Ok(Block { last: end - BLOCK, end })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::DatabaseSettings;
    use crate::database::Database;

    #[tokio::test]
    async fn numbers_rise_over_reservations_restarts_and_clocks_that_go_back() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap();
        let mut last = Timestamp::now().as_millisecond();
        for _ in 0..3 {
            // As after a kill: nothing of the one before is given back.
            let counter = Counter::new(database.pool.clone());
            for _ in 0..BLOCK + 2 {
                let next = counter.next().await.unwrap();
                assert!(next > last, "{next} after {last}");
                last = next;
            }
        }
        let counter = Counter::new(database.pool.clone());
        let past = counter.reserve(Timestamp::UNIX_EPOCH).await.unwrap();
        assert!(past.last >= last && past.end == past.last + BLOCK);
        let later = Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let future = counter.reserve(later).await.unwrap();
        assert_eq!(future.last, later.as_millisecond());
    }

    #[tokio::test]
    async fn who_asks_at_once_gets_a_number_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap();
        let counters = [Counter::new(database.pool.clone()), Counter::new(database.pool.clone())];
        let asked = (0..200).map(|n| counters[n % 2].next());
        let numbers = futures_util::future::join_all(asked).await;
        let mut numbers: Vec<i64> = numbers.into_iter().map(Result::unwrap).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 200);
    }

    #[tokio::test]
    async fn a_database_that_does_not_answer_gives_none() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&DatabaseSettings::default(), folder.path()).await.unwrap();
        let counter = Counter::new(database.pool.clone());
        database.close().await;
        assert!(counter.next().await.is_err());
    }
}
