//! Building, serving and closing a broker, and what all its parts share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use latchlight_mqtt::ReasonCode;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::access::{Access, DenyAll};
use crate::counters::{Counters, CountersSnapshot};
use crate::deadlines::{Deadlines, Timers};
use crate::ebb::GiveBack;
use crate::guarded::Guarded;
use crate::hooks::{Hooks, Notice};
use crate::latency::Latencies;
use crate::limits::Bans;
use crate::line::Closing;
use crate::listener::{Hall, Listener, ListenerInfo};
use crate::live_watch::LiveWatch;
use crate::pauses::Pauses;
use crate::session_handle::Session;
use crate::sessions::Sessions;
use crate::store::{Keep, Recorder, Store, StoredMessage, Writer, restore};
use crate::threads::{Hands, Threads};
use crate::time::Clock;
use crate::topics::{Index, Retained, Subscriber};
use crate::{InlineClient, Interceptor, Observer, Options};

/// What is needed to begin.
#[derive(Default)]
pub struct BrokerBuilder {
    options: Options,
    access: Option<Arc<dyn Access>>,
    observers: Vec<Arc<dyn Observer>>,
    interceptors: Vec<Arc<dyn Interceptor>>,
    listeners: Vec<Listener>,
    store: Option<Box<dyn Store>>,
    keep: Option<Keep>,
    give_back: Option<GiveBack>,
}

/// What is there before anybody serves.
pub(crate) struct Prepared {
    pub(crate) core: Arc<Core>,
    pub(crate) store: Option<Box<dyn Store>>,
    pub(crate) listeners: Vec<Listener>,
}

/// A broker that serves; cheap to clone. Dropping it does not end it: see
/// [`Broker::close`].
#[derive(Clone)]
pub struct Broker {
    pub(crate) core: Arc<Core>,
    threads: Arc<Mutex<Option<Threads>>>,
    writer: Arc<Mutex<Option<Writer>>>,
    hall: Arc<Hall>,
}

/// What all parts of a broker share.
pub(crate) struct Core {
    pub(crate) options: Options,
    pub(crate) access: Arc<dyn Access>,
    pub(crate) hooks: Arc<Hooks>,
    /// Whether the access hook is asked at delivery.
    pub(crate) checks_delivery: AtomicBool,
    /// Held while it is asked whether it is.
    pub(crate) asking: Mutex<()>,
    pub(crate) clock: Clock,
    /// Notes what outlives the broker, if it has a store.
    pub(crate) recorder: Option<Arc<Recorder>>,
    pub(crate) counters: Counters,
    pub(crate) bans: Bans,
    /// Where it is wanted.
    pub(crate) latencies: Option<Latencies>,
    /// Threads that end when it stops.
    #[cfg(feature = "http")]
    pub(crate) helpers: Mutex<Vec<std::thread::JoinHandle<()>>>,
    /// Which publishers wait for slow readers.
    pub(crate) pauses: Pauses,
    pub(crate) index: Index,
    pub(crate) retained: Mutex<Retained>,
    /// The same of `$SYS`.
    pub(crate) system: Mutex<Retained>,
    pub(crate) sessions: Mutex<Sessions>,
    pub(crate) deadlines: Deadlines,
    pub(crate) live_watch: LiveWatch,
    pub(crate) stop: CancellationToken,
    pub(crate) runtime: std::sync::OnceLock<tokio::runtime::Handle>,
    /// How many client ids it assigned.
    pub(crate) assigned: AtomicU64,
    /// The number of the next session; 0 is nobody's.
    pub(crate) session_numbers: AtomicU64,
    /// How often all sessions were looked at again: who was let in by what the
    /// access hook said before the last time is looked at once more.
    pub(crate) reviews: AtomicU64,
}

impl BrokerBuilder {
    /// A broker without listeners that lets nobody in.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits and habits.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Who may do what; without this, nobody may do anything.
    #[must_use]
    pub fn access(mut self, access: impl Access) -> Self {
        self.access = Some(Arc::new(Guarded(access)));
        self
    }

    /// Somebody who sees what happens.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Somebody who may change or refuse what happens.
    #[must_use]
    pub fn interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Where connections come in: a bound TCP listener, or any [`Listener`].
    #[must_use]
    pub fn listener(mut self, listener: impl Into<Listener>) -> Self {
        self.listeners.push(listener.into());
        self
    }

    /// What outlives the broker is kept here; without this, nothing is.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Box::new(store));
        self
    }

    /// Which of the messages that the store brings back are kept; without
    /// this, all are. What is not, is gone from the store as well, before
    /// anybody can connect. A session whose client may have taken such a
    /// message half way, at QoS 2, ends with it.
    #[must_use]
    pub fn keep_stored(
        mut self,
        keep: impl Fn(&StoredMessage<'_>) -> bool + Send + 'static,
    ) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }

    /// What each of the broker's threads calls about a second after many
    /// clients have left: for allocators that keep for a thread what it has
    /// freed until that thread tells them to give it back to the system, as
    /// mimalloc does. Without this, it is the allocator's matter.
    #[must_use]
    pub fn give_back(mut self, give_back: impl Fn() + Send + Sync + 'static) -> Self {
        self.give_back = Some(Arc::new(give_back));
        self
    }

    /// Restores what the store has, and begins to serve, on threads of its
    /// own.
    ///
    /// # Errors
    /// A listener or a thread cannot be had, or the store not be read.
    pub fn serve(mut self) -> std::io::Result<Broker> {
        let give_back = self.give_back.take();
        let Prepared { core, store, listeners } = self.prepare(Clock::start())?;
        let writer = match (&core.recorder, store) {
            (Some(recorder), Some(store)) => Some(Writer::start(&core, recorder, store)?),
            _ => None,
        };
        let (threads, hands) = Threads::start(&core, give_back.as_ref())?;
        hands.relieve_each_other(&core);
        Broker::begin(core, threads, hands, writer, listeners)
    }

    /// Makes the core, with what the store has.
    pub(crate) fn prepare(self, clock: Clock) -> std::io::Result<Prepared> {
        let backlog = self.options.max_store_backlog;
        let recorder = self.store.is_some().then(|| Arc::new(Recorder::new(clock, backlog)));
        let bans = Bans::new(&self.options);
        let core = Arc::new(Core {
            latencies: self.options.measure_latency.then(Latencies::default),
            options: self.options,
            access: self.access.unwrap_or_else(|| Arc::new(DenyAll)),
            hooks: Arc::new(Hooks::new(self.observers, self.interceptors)),
            checks_delivery: AtomicBool::new(false),
            asking: Mutex::default(),
            clock,
            recorder: recorder.clone(),
            counters: Counters::default(),
            bans,
            #[cfg(feature = "http")]
            helpers: Mutex::default(),
            pauses: Pauses::default(),
            index: Index::default(),
            retained: Mutex::default(),
            system: Mutex::default(),
            sessions: Mutex::default(),
            deadlines: Deadlines::default(),
            live_watch: LiveWatch::default(),
            stop: CancellationToken::new(),
            runtime: std::sync::OnceLock::new(),
            assigned: AtomicU64::new(0),
            session_numbers: AtomicU64::new(1),
            reviews: AtomicU64::new(0),
        });
        core.ask_whether_it_checks(false);
        let mut store = self.store;
        if let (Some(recorder), Some(store)) = (&recorder, &mut store) {
            restore(&core, recorder, store.as_mut(), self.keep.as_ref())
                .map_err(std::io::Error::other)?;
        }
        Ok(Prepared { core, store, listeners: self.listeners })
    }
}

impl Broker {
    #[cfg(feature = "testing")]
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Begins to serve what was prepared.
    pub(crate) fn begin(
        core: Arc<Core>,
        threads: Threads,
        hands: Hands,
        writer: Option<Writer>,
        listeners: Vec<Listener>,
    ) -> std::io::Result<Self> {
        let is_restored = core.recorder.is_some();
        let broker = Self {
            hall: Arc::new(Hall::new(core.clone(), hands)),
            core,
            threads: Arc::new(Mutex::new(Some(threads))),
            writer: Arc::new(Mutex::new(writer)),
        };
        if is_restored {
            broker.review();
        }
        for listener in listeners {
            if let Err(error) = broker.add_listener(listener) {
                broker.core.stop.cancel();
                broker.join();
                return Err(error);
            }
        }
        broker.core.hooks.note(None, Notice::Started);
        broker.core.hooks.tell();
        Ok(broker)
    }

    /// Begins a broker: build with options, add hooks and listeners, serve.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::new()
    }

    /// A client inside this process.
    pub fn inline(&self) -> InlineClient {
        InlineClient::new(self.core.clone())
    }

    /// Begins to listen there, too.
    ///
    /// # Errors
    /// There is a listener of this name, it cannot listen, or the broker was
    /// closed.
    pub fn add_listener(&self, listener: impl Into<Listener>) -> std::io::Result<ListenerInfo> {
        self.hall.add(listener.into())
    }

    /// Ends a listener, and waits until its socket is closed; its connections
    /// stay. False: there is none of this name.
    pub async fn remove_listener(&self, name: &str) -> bool {
        self.hall.remove(name).await
    }

    /// The listeners, in the order in which they were added.
    pub fn listeners(&self) -> Vec<ListenerInfo> {
        self.hall.list()
    }

    /// Where those are bound that have an address.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let listeners = self.hall.list();
        listeners.iter().filter_map(|listener| listener.address.socket()).collect()
    }

    /// What was counted.
    pub fn counters(&self) -> CountersSnapshot {
        self.core.counters_snapshot()
    }

    /// Ends every connection, those of MQTT 5 with 0x8B (Server shutting
    /// down), then the threads. Wills are not published.
    pub async fn close(&self) {
        self.core.stop.cancel();
        // Who connects meanwhile finds the broker stopped.
        let sessions = self.core.sessions.lock().all();
        for session in sessions {
            let mut line = session.outbound.lock();
            if line.owed.is_connected() {
                let reason = ReasonCode::ServerShuttingDown;
                line.close(Closing { reason, say: true, reset: false });
            }
        }
        let broker = self.clone();
        let _ = tokio::task::spawn_blocking(move || broker.join()).await;
    }

    /// Waits for the threads, which end when their connections have.
    fn join(&self) {
        let (threads, writer) = (self.threads.lock().take(), self.writer.lock().take());
        let was_serving = threads.is_some();
        if let Some(threads) = threads {
            threads.join();
        }
        if let Some(writer) = writer {
            writer.stop();
        }
        #[cfg(feature = "http")]
        for helper in std::mem::take(&mut *self.core.helpers.lock()) {
            if helper.join().is_err() {
                tracing::error!("a thread of the broker failed");
            }
        }
        if was_serving {
            self.core.hooks.note(None, Notice::Stopped);
            self.core.hooks.tell();
        }
    }
}

impl Core {
    pub(crate) fn counters_snapshot(&self) -> CountersSnapshot {
        let retained = self.retained.lock();
        self.counters.retained_messages.set(retained.count() as u64);
        self.counters.retained_bytes.set(retained.bytes() as u64);
        self.counters.snapshot()
    }

    /// Ends a session, within [`Recorder::together`] because of its will and
    /// of what others get in its place: nobody will come back to it. `epoch` is
    /// its last connection; a newer one makes it live on.
    pub(crate) fn discard(&self, session: &Arc<Session>, epoch: u32) {
        let (will, left, tells) = {
            let mut sessions = self.sessions.lock();
            let mut line = session.outbound.lock();
            if line.epoch != epoch || line.owed.is_connected() {
                return;
            }
            // No epoch comes after this one.
            line.epoch = line.epoch.wrapping_add(1);
            line.owed.end_log();
            let left = line.owed.end(&self.counters);
            session.set_stored(false);
            self.deadlines.set(session, &mut line.timers, Timers::default());
            if sessions.remove(session) {
                self.counters.sessions.sub(1);
            }
            (line.will.take(), left, line.owed.tells.clone())
        };
        let subscriptions = session.end();
        for (filter, _) in subscriptions.iter() {
            self.counters.unsubscribed(filter);
            self.index.remove(filter, &Subscriber::Session(session.clone()));
        }
        self.hand_over(left, &tells);
        session.set_over();
        // [MQTT-3.1.2-8]: at the latest when the session ends.
        if let Some(will) = will {
            self.publish_will(*will);
        }
    }
}
