//! Events as they come: one reader of the record for all who follow it.
//!
//! What has been committed is read once, behind the last that was read, and
//! given to each who follows; each has a queue of its own, with a bound. Whose
//! queue is full follows no more: they have to read the record themselves until
//! they are near its end again, and for that they have so long.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{EventError, Filter, Frame, Which, rows};
use crate::database::Pool;

/// How many are read at a time.
const PAGE: u32 = 500;

/// Who is no further behind than this may follow.
pub(super) const NEAR: u32 = 100;

/// How many events may wait for somebody. Who lets more wait falls behind.
const WAITING: usize = 1024;

/// How long somebody may take who fell behind; then they are cut off.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked without a word of the writers: for what others write
/// into the same database, and for who has gone.
const LOOK: Duration = Duration::from_secs(1);

/// Gives events to all who follow the record.
#[derive(Default)]
pub(super) struct Feed {
    state: Mutex<State>,
    /// Somebody follows who did not before.
    begun: Notify,
}

#[derive(Default)]
struct State {
    /// The last that was read and given.
    position: i64,
    followers: Vec<Follower>,
}

struct Follower {
    which: Arc<Which>,
    sender: mpsc::Sender<Arc<Frame>>,
    caught_up: CancellationToken,
    cut_off: CancellationToken,
}

/// What somebody gets who follows the record.
#[derive(Debug)]
pub struct Following {
    /// The events that come after `from`; ends where they fell behind.
    pub frames: mpsc::Receiver<Arc<Frame>>,
    /// What is up to this one has to be read from the record.
    pub from: i64,
    /// To be cancelled when they have caught up after having fallen behind, or
    /// have gone.
    pub caught_up: CancellationToken,
}

impl Feed {
    /// Follows what is like this, for somebody who knows the record up to
    /// `after`; `cut_off` is cancelled when they fell behind and did not catch
    /// up.
    ///
    /// # Errors
    /// They are too far behind: they have to read up to there first.
    pub(super) fn follow(
        &self,
        which: &Arc<Which>,
        after: i64,
        cut_off: &CancellationToken,
    ) -> Result<Following, i64> {
        let mut state = self.state.lock();
        if state.followers.iter().all(|follower| follower.sender.is_closed()) {
            state.followers.clear();
            state.position = after;
        }
        if state.position.saturating_sub(after) > i64::from(NEAR) {
            return Err(state.position);
        }
        let (sender, frames) = mpsc::channel(WAITING);
        let caught_up = CancellationToken::new();
        state.followers.push(Follower {
            which: which.clone(),
            sender,
            caught_up: caught_up.clone(),
            cut_off: cut_off.clone(),
        });
        self.begun.notify_one();
        Ok(Following { frames, from: state.position, caught_up })
    }

    /// Up to where everything has been given that somebody follows, unless some
    /// of it waits for them still.
    pub(super) fn position_of(&self, following: &Following) -> Option<i64> {
        let state = self.state.lock();
        following.frames.is_empty().then_some(state.position)
    }

    /// The last that was given, where anybody follows.
    fn position(&self) -> Option<i64> {
        let mut state = self.state.lock();
        state.followers.retain(|follower| !follower.sender.is_closed());
        (!state.followers.is_empty()).then_some(state.position)
    }

    /// Gives these, which follow `after`.
    fn give(&self, after: i64, frames: Vec<Arc<Frame>>) {
        let mut state = self.state.lock();
        // Everybody had gone, and somebody came who begins elsewhere.
        if state.position != after {
            return;
        }
        for frame in frames {
            state.position = frame.seq;
            state.followers.retain(|follower| follower.take(&frame));
        }
    }

    async fn read(&self, pool: &Pool) -> Result<(), EventError> {
        while let Some(after) = self.position() {
            let events = rows::after(pool, &Filter::default(), after, i64::MAX, PAGE).await?;
            let is_last = events.len() < PAGE as usize;
            let frames = events.into_iter().map(|event| Frame::of(event).map(Arc::new));
            self.give(after, frames.collect::<Result<_, _>>()?);
            if is_last {
                break;
            }
        }
        Ok(())
    }
}

impl Follower {
    /// Whether they still follow.
    fn take(&self, frame: &Arc<Frame>) -> bool {
        if !self.which.has(frame.kind(), frame.device()) {
            return true;
        }
        match self.sender.try_send(frame.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                let (caught_up, cut_off) = (self.caught_up.clone(), self.cut_off.clone());
                tokio::spawn(async move {
                    let waited = tokio::time::timeout(PATIENCE, caught_up.cancelled()).await;
                    if waited.is_err() {
                        cut_off.cancel();
                    }
                });
                false
            }
        }
    }
}

/// Reads what was committed, until nobody knows the feed any more.
pub(super) async fn run(feed: Weak<Feed>, pool: Pool, mut commits: watch::Receiver<()>) {
    let mut failing = false;
    loop {
        let looked = match feed.upgrade() {
            Some(feed) => {
                let begun = feed.begun.notified();
                tokio::select! {
                    changed = commits.changed() => changed.is_ok(),
                    () = begun => true,
                    () = tokio::time::sleep(LOOK) => true,
                }
            }
            None => return,
        };
        if !looked {
            return;
        }
        let Some(feed) = feed.upgrade() else { return };
        let read = feed.read(&pool).await;
        match &read {
            Err(error) if !failing => tracing::error!(%error, "nobody is told of events for now"),
            Ok(()) if failing => tracing::info!("events are told of again"),
            _ => {}
        }
        failing = read.is_err();
    }
}
