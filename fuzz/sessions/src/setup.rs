//! The broker that a script begins with.

use std::time::Duration;

use latchlight_broker::testing::StillBroker;
use latchlight_broker::{
    Broker, Change, Listener, MemoryConnector, MemoryStore, Options, Store, StoreError, WhenFull,
    WhenOfflineFull,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::rules::{EVIL, Rules};
use crate::script::Script;

/// How long a session may outlive its connection, in ms.
pub(crate) const LONGEST: u64 = 100_000;

/// When all scripts begin, in Unix ms.
const BEGINNING: u64 = 1_700_000_000_000;

/// What stays when the power goes.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) options: Options,
    pub(crate) is_tight: bool,
    pub(crate) disk: Option<Disk>,
}

/// A store that can be told to fail.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) entries: MemoryStore,
    fails: Arc<AtomicBool>,
}

impl Disk {
    pub(crate) fn set_failing(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }
}

impl Store for Disk {
    fn restore(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.entries.restore(each)
    }

    fn commit(&mut self, changes: &mut dyn Iterator<Item = Change<'_>>) -> Result<(), StoreError> {
        match self.fails.load(Ordering::Relaxed) {
            true => Err(StoreError::new("no space left")),
            false => self.entries.commit(changes),
        }
    }
}

/// A running broker, and how it is reached.
pub(crate) struct Running {
    pub(crate) still: StillBroker,
    pub(crate) good: MemoryConnector,
    pub(crate) evil: MemoryConnector,
}

impl Setup {
    pub(crate) fn decode(script: &mut Script<'_>) -> Self {
        let is_tight = script.flag();
        let disk = script.flag().then(Disk::default);
        let mut options = Options {
            threads: 1,
            max_session_expiry: Duration::from_millis(LONGEST),
            topic_alias_maximum: 2,
            ..Options::default()
        };
        if is_tight {
            options.max_queued_messages = 3;
            options.max_queued_bytes = 400;
            options.max_waiting_bytes = 900;
            options.max_in_flight = 3;
            options.receive_maximum = 4;
            options.high_water = 600;
            options.max_retained_messages = 3;
            options.max_retained_bytes = 2000;
            options.max_subscriptions = 4;
            options.max_sessions = 6;
            options.max_connections = 12;
            options.max_packet_size = 20_000;
            options.max_store_backlog = 3000;
            options.stalled_limit = Duration::from_secs(5);
            options.max_keep_alive = 20;
            (options.when_full, options.when_full_offline) = script.pick(&[
                (WhenFull::DropNewest, WhenOfflineFull::DropNewest),
                (WhenFull::DropOldest, WhenOfflineFull::DropOldest),
                (WhenFull::Disconnect, WhenOfflineFull::DropNewest),
                (WhenFull::DropNewest, WhenOfflineFull::DropOldest),
                (WhenFull::DropOldest, WhenOfflineFull::DropNewest),
                (WhenFull::Disconnect, WhenOfflineFull::DropOldest),
            ]);
        }
        Self { options, is_tight, disk }
    }

    /// Starts a broker, `passed` ms after the beginning.
    pub(crate) fn start(&self, passed: u64) -> Running {
        let (good, to_good) = Listener::memory();
        let (evil, to_evil) = Listener::memory();
        let mut builder = Broker::builder()
            .options(self.options.clone())
            .access(Rules)
            .listener(good.named("good"))
            .listener(evil.named(EVIL));
        if let Some(disk) = &self.disk {
            builder = builder.store(disk.clone());
        }
        let still = StillBroker::serve(builder, BEGINNING + passed).expect("a broker starts");
        Running { still, good: to_good, evil: to_evil }
    }
}
