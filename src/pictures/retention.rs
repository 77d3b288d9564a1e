//! What is kept: not too long, not too many, not too much. The oldest go, one
//! by one, each with its files.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::store::Pictures;
use super::{Picture, PictureError};
use crate::commands::RunClock;
use crate::events::{Event, Events, Kind};

/// How often it is looked for what is too old.
const LOOK: Duration = Duration::from_secs(10 * 60);

/// How many are removed before somebody else has a turn, and how many an
/// upload waits for: more than it adds.
const BATCH: u32 = 16;

/// What is removed within this time is one event on record.
const ONE_EVENT: Duration = Duration::from_secs(10 * 60);

/// How much is kept now, and what was removed lately.
pub(super) struct Retention {
    clock: RunClock,
    kept: Mutex<Kept>,
    /// One run at a time.
    removed: tokio::sync::Mutex<Removed>,
    events: Events,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kept {
    count: u64,
    bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Age,
    Count,
    Bytes,
}

/// What was removed, and is not on record yet.
#[derive(Debug, Default)]
struct Removed {
    too_old: u64,
    too_many: u64,
    too_much: u64,
    recorded: Option<Instant>,
}

impl Retention {
    pub(super) fn new(events: Events) -> Self {
        let (kept, removed) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { clock: RunClock::start(), kept, removed, events }
    }

    fn kept(&self) -> Kept {
        *self.kept.lock()
    }

    #[cfg(test)]
    pub(super) fn events(&self) -> Events {
        self.events.clone()
    }

    /// So long ago, by both clocks: what either of them takes for young stays.
    fn before(&self, age: Duration) -> i64 {
        let wall = Timestamp::now().as_millisecond();
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        self.clock.before(age).min(wall.saturating_sub(age_ms))
    }

    pub(super) fn add(&self, picture: &Picture) {
        let mut kept = self.kept.lock();
        kept.count += 1;
        kept.bytes += picture.kept_bytes();
    }

    pub(super) fn subtract(&self, picture: &Picture) {
        let mut kept = self.kept.lock();
        kept.count = kept.count.saturating_sub(1);
        kept.bytes = kept.bytes.saturating_sub(picture.kept_bytes());
    }
}

impl Pictures {
    /// Removes, bit by bit, what is not kept any longer; it ends when it is
    /// dropped.
    pub async fn keep_house(&self) {
        loop {
            // Nothing is lost by an error; the next time is soon enough.
            if let Err(error) = self.give_way().await {
                tracing::error!(%error, "remove old pictures");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Puts on record what was removed and is not yet.
    pub async fn close(&self) {
        let mut removed = self.inner.retention.removed.lock().await;
        self.record(&mut removed);
    }

    /// How many there are, and the bytes of their files.
    pub fn kept(&self) -> (u64, u64) {
        let Kept { count, bytes } = self.inner.retention.kept();
        (count, bytes)
    }

    pub(super) async fn recount(&self) -> Result<(), PictureError> {
        let (count, bytes) = self.inner.rows.sum().await?;
        *self.inner.retention.kept.lock() = Kept { count, bytes };
        Ok(())
    }

    /// The oldest give way to the newest.
    pub(super) async fn give_way_to_newest(&self) {
        if let Err(error) = self.remove_some().await {
            tracing::error!(%error, "remove old pictures");
        }
        self.record_in_time().await;
    }

    pub(super) async fn give_way(&self) -> Result<(), PictureError> {
        while self.remove_some().await? {
            tokio::task::yield_now().await;
        }
        self.record_in_time().await;
        Ok(())
    }

    /// Removes the oldest of those that are to go; whether there may be more.
    async fn remove_some(&self) -> Result<bool, PictureError> {
        let retention = &self.inner.retention;
        let mut removed = retention.removed.lock().await;
        let oldest = self.inner.rows.oldest(BATCH).await?;
        let may_be_more = !oldest.is_empty();
        for picture in oldest {
            let Some(why) = self.why_not_kept(&picture) else { return Ok(false) };
            if self.remove(&picture).await? {
                match why {
                    Why::Age => removed.too_old += 1,
                    Why::Count => removed.too_many += 1,
                    Why::Bytes => removed.too_much += 1,
                }
            }
        }
        Ok(may_be_more)
    }

    /// Why the oldest one is not kept any longer, if it is not.
    fn why_not_kept(&self, oldest: &Picture) -> Option<Why> {
        let (settings, retention) = (&self.inner.settings, &self.inner.retention);
        let kept = retention.kept();
        if oldest.received_at.as_millisecond() < retention.before(settings.kept_for()) {
            Some(Why::Age)
        } else if kept.count > settings.keep_count {
            Some(Why::Count)
        } else if kept.bytes > settings.keep_bytes {
            Some(Why::Bytes)
        } else {
            None
        }
    }

    async fn record_in_time(&self) {
        let mut removed = self.inner.retention.removed.lock().await;
        if removed.recorded.is_none_or(|at| at.elapsed() >= ONE_EVENT) {
            self.record(&mut removed);
        }
    }

    fn record(&self, removed: &mut Removed) {
        let Removed { too_old, too_many, too_much, .. } = *removed;
        if too_old + too_many + too_much == 0 {
            return;
        }
        let detail = format!(
            "removed {} pictures: {too_old} too old, {too_many} too many, {too_much} too large",
            too_old + too_many + too_much,
        );
        tracing::info!(too_old, too_many, too_much, "pictures were removed");
        let event = Event::of_server(Kind::Picture, "expire").detail(&detail);
        self.inner.retention.events.record(event);
        *removed = Removed { recorded: Some(Instant::now()), ..Removed::default() };
    }
}
