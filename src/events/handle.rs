//! The front of the record: cloneable, one verb per request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::counts::Counts;
use super::feed::{self, Feed, Following, NEAR};
use super::gathering::Gathering;
use super::observations::Observations;
use super::retention::Retention;
use super::writer::{self, Entry, Message};
use super::{Event, EventError, Filter, Frame, Recorded, Which, rows};
use crate::config::EventSettings;
use crate::database::{Database, Pool};

/// How many events may wait for the disk. What comes later is counted, and the
/// record says how many it lacks; who waits for the disk waits for a place.
const WAITING: usize = 4096;

/// How long the stop waits for the disk.
const STOPPING: Duration = Duration::from_secs(5);

/// The record of events; cheap to clone.
#[derive(Clone)]
pub struct Events(Arc<Inner>);

struct Inner {
    pool: Pool,
    sender: mpsc::Sender<Message>,
    shared: Arc<Shared>,
    retention: Retention,
    feed: Arc<Feed>,
}

/// What the writer has in common with those who record.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) gathering: Mutex<Gathering>,
    pub(super) observations: Mutex<Observations>,
    pub(super) counts: Counts,
}

impl Events {
    /// Starts the writer.
    pub fn open(database: &Database, settings: &EventSettings) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        let shared = Arc::<Shared>::default();
        tokio::spawn(writer::run(database.writer.clone(), receiver, shared.clone()));
        let pool = database.pool.clone();
        let retention = Retention::new(pool.clone(), settings);
        let feed = Arc::<Feed>::default();
        let commits = database.writer.commits();
        tokio::spawn(feed::run(Arc::downgrade(&feed), pool.clone(), commits));
        Self(Arc::new(Inner { pool, sender, shared, retention, feed }))
    }

    /// Records an event a moment later, with what else there is. Where too many
    /// wait, it is lost, and the record says so.
    pub fn record(&self, event: Event) {
        let entry = Message::Entry(Entry { event, done: None });
        if self.0.sender.try_send(entry).is_err() {
            self.0.shared.counts.lost(1);
        }
    }

    /// Records an event; it is on disk when this returns.
    ///
    /// # Errors
    /// It could not be written: whoever asked is not told that it was done.
    pub async fn record_now(&self, event: Event) -> Result<(), EventError> {
        let (done, written) = oneshot::channel();
        let gone = || EventError("its writer has stopped".into());
        let entry = Message::Entry(Entry { event, done: Some(done) });
        self.0.sender.send(entry).await.map_err(|_| gone())?;
        written.await.map_err(|_| gone())?
    }

    /// Records what has happened and stands, whatever becomes of the record: it
    /// is on disk when this returns, or later when the disk takes it again.
    pub async fn record_and_wait(&self, event: Event) {
        if self.record_now(event.clone()).await.is_err() {
            self.record(event);
        }
    }

    /// Records a refusal, unless it is like one of the last minutes: then it
    /// is counted, and the record has the number.
    pub fn refused(&self, event: Event) {
        let event = self.0.shared.gathering.lock().take(event, Instant::now());
        match event {
            Some(event) => self.record(event),
            None => self.0.shared.counts.gathered(),
        }
    }

    /// Records what a device brought about by itself, up to so much of it;
    /// beyond, it is counted, and the newest is on record later. It takes no
    /// more than half of what may wait for the disk.
    pub fn observed(&self, event: Event) {
        let room = self.0.sender.capacity() > WAITING / 2;
        let now = Instant::now();
        let event = self.0.shared.observations.lock().take(event, room, now);
        match event {
            Some(event) => self.record(event),
            None => self.0.shared.counts.observation_gathered(),
        }
    }

    /// The newest events that are like this, older than `before`.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn page(
        &self,
        filter: &Filter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Recorded>, EventError> {
        rows::page(&self.0.pool, filter, before, limit).await
    }

    /// The events that are like this, after `after` and up to `last`, in their
    /// order.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn after(
        &self,
        filter: &Filter,
        after: i64,
        last: i64,
        limit: u32,
    ) -> Result<Vec<Recorded>, EventError> {
        rows::after(&self.0.pool, filter, after, last, limit).await
    }

    /// How many events are like this.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn count(&self, filter: &Filter) -> Result<i64, EventError> {
        rows::count(&self.0.pool, filter).await
    }

    /// One event.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn get(&self, seq: i64) -> Result<Option<Recorded>, EventError> {
        rows::get(&self.0.pool, seq).await
    }

    /// The number of the newest event, 0 where there is none.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn newest(&self) -> Result<i64, EventError> {
        rows::newest(&self.0.pool).await
    }

    /// The number of the oldest event that is there, 0 where there is none.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn oldest(&self) -> Result<i64, EventError> {
        rows::oldest(&self.0.pool).await
    }

    /// A page of the events after `after` and up to `last`, as they go over a
    /// stream; and up to where it has them all.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn frames(&self, after: i64, last: i64) -> Result<(Vec<Frame>, i64), EventError> {
        let events = rows::after(&self.0.pool, &Filter::default(), after, last, NEAR).await?;
        let is_full = events.len() >= NEAR as usize;
        let end = events.last().map(|event| event.seq).filter(|_| is_full).unwrap_or(last);
        let frames = events.into_iter().map(Frame::of).collect::<Result<_, _>>()?;
        Ok((frames, end))
    }

    /// Follows the record, for somebody who knows it up to `after`; `cut_off` is
    /// cancelled when they fell behind and did not catch up.
    ///
    /// # Errors
    /// They are too far behind: they have to read up to there first.
    pub fn follow(
        &self,
        which: &Arc<Which>,
        after: i64,
        cut_off: &CancellationToken,
    ) -> Result<Following, i64> {
        self.0.feed.follow(which, after, cut_off)
    }

    /// Up to where somebody who follows has been given everything, unless some
    /// of it waits for them still.
    pub fn position_of(&self, following: &Following) -> Option<i64> {
        self.0.feed.position_of(following)
    }

    /// What is counted of events, for Prometheus.
    pub fn register_counts(&self, registry: &mut Registry) {
        self.0.shared.counts.register(registry);
        let waiting = self.0.sender.max_capacity() - self.0.sender.capacity();
        let waiting = ConstGauge::new(i64::try_from(waiting).unwrap_or(i64::MAX));
        registry.register("events_waiting", "Events that wait for the disk", waiting);
    }

    /// Removes, bit by bit, what is not kept any longer; it ends when it is
    /// dropped.
    pub async fn keep_house(&self) {
        self.0.retention.run().await;
    }

    /// Takes no more, and writes what waits and what is gathered.
    pub async fn close(&self) {
        let (done, written) = oneshot::channel();
        let close = async {
            if self.0.sender.send(Message::Close(done)).await.is_ok() {
                let _ = written.await;
            }
        };
        if tokio::time::timeout(STOPPING, close).await.is_err() {
            tracing::error!("some events are not on record: the database does not take them");
        }
    }
}
