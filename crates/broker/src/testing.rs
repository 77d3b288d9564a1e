//! A broker that does nothing by itself: no thread, no socket, and the time
//! stands still until it is told to pass. What happens depends on what it is
//! told alone, so that a fuzzer can drive whole sessions and see the same
//! again.
//!
//! Compiled with the feature `testing` only.

use std::time::Duration;

use tokio::runtime::{EnterGuard, Runtime};

use crate::broker::Prepared;
use crate::store::ByHand;
use crate::threads::Threads;
use crate::time::Clock;
use crate::topics::RouteCache;
use crate::{Broker, BrokerBuilder, MemoryConnector, MemoryStream, Time};

/// A broker that is driven step by step.
pub struct StillBroker {
    broker: Broker,
    writer: Option<ByHand>,
    runtime: Runtime,
}

/// What a broker holds for clients; nothing when all are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Sessions, connected or not.
    pub sessions: usize,
    /// Times at which something is due.
    pub deadlines: usize,
    /// Levels of subscriptions' filters.
    pub filter_levels: usize,
    /// Levels of retained messages' topics.
    pub retained_levels: usize,
}

impl StillBroker {
    /// Restores what the store has, and is ready to be driven. `unix` is the
    /// time at which it begins, in Unix milliseconds. One thread drives one at
    /// a time.
    ///
    /// # Errors
    /// The store cannot be read, or a listener not be had.
    pub fn serve(builder: BrokerBuilder, unix: u64) -> std::io::Result<Self> {
        // Of another broker, whose generations are as these.
        RouteCache::of_this_thread(|cache| *cache = RouteCache::default());
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build()?;
        let entered = runtime.enter();
        let Prepared { core, store, listeners } = builder.prepare(Clock::start_at(unix))?;
        let (threads, hands) = Threads::none(&core, runtime.handle());
        let broker = Broker::begin(core, threads, hands, None, listeners)?;
        drop(entered);
        Ok(Self { broker, writer: store.map(ByHand::new), runtime })
    }

    /// The broker. What it is told is done in its own time while
    /// [`StillBroker::enter`] is held.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Makes the broker's time the thread's.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Since it began, in ms.
    pub fn now(&self) -> Time {
        let _entered = self.enter();
        self.broker.core().clock.now()
    }

    /// A connection, on which nothing was said yet.
    ///
    /// # Errors
    /// The listener is gone.
    pub fn connect(&self, connector: &MemoryConnector) -> std::io::Result<MemoryStream> {
        self.runtime.block_on(connector.connect())
    }

    /// Lets everything be done that can be done now; a millisecond passes.
    pub fn settle(&self) {
        self.pass(Duration::from_millis(1));
    }

    /// Lets time pass, and everything be done meanwhile that is due.
    pub fn pass(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    /// Commits what the store is to hold, and lets go what waited for it;
    /// false: the store has failed, and what it did not take is tried again the
    /// next time.
    pub fn commit(&mut self) -> bool {
        let _entered = self.runtime.enter();
        let core = self.broker.core();
        match (&mut self.writer, &core.recorder) {
            (Some(writer), Some(recorder)) => writer.commit(core, recorder),
            _ => true,
        }
    }

    /// What it holds at this moment.
    pub fn held(&self) -> Held {
        let core = self.broker.core();
        Held {
            sessions: core.sessions.lock().len(),
            deadlines: core.deadlines.len(),
            filter_levels: core.index.levels(),
            retained_levels: core.retained.lock().levels(),
        }
    }
}
