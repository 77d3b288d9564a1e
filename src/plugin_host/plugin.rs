//! A started plugin: its calls, each on a thread of its own with a time
//! limit, and its quarantine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use latchlight_plugin_api::boundary::{API, Outcome, Record};
use latchlight_plugin_api::{ActionError, ActionInfo, Answer, Call};
use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::call_host::{CallHost, Rights};
use super::loader::Library;
use super::{HostServices, PluginReport, PluginState};
use crate::actions::Request;
use crate::config::AllowedPlugin;
use crate::events::{Event, Events, Kind};
use crate::identity::{Permissions, Principal};

/// How many calls of one plugin run at once, those counted in that were
/// abandoned and still run.
const PLACES: usize = 4;

/// How many calls of one plugin wait for a place; more are refused at once.
const WAITING: usize = 64;

/// A plugin that was started.
pub(super) struct Plugin {
    pub(super) record: Record,
    pub(super) allowed: AllowedPlugin,
    /// It came from afar.
    pub(super) installed: bool,
    pub(super) services: Arc<dyn HostServices>,
    library: Library,
    time_limit: Duration,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    quarantine: Mutex<Option<Quarantine>>,
    /// How long its calls took, in seconds.
    durations: Histogram,
    pub(super) tally: Tally,
}

/// What was counted.
#[derive(Default)]
pub(super) struct Tally {
    calls: AtomicU64,
    failed: AtomicU64,
    panics: AtomicU64,
    refused: AtomicU64,
}

#[derive(Clone)]
struct Quarantine {
    since: Timestamp,
    why: String,
}

impl Tally {
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

impl Plugin {
    pub(super) fn new(
        library: Library,
        record: Record,
        allowed: AllowedPlugin,
        installed: bool,
        services: Arc<dyn HostServices>,
        time_limit: Duration,
        durations: Histogram,
    ) -> Self {
        Self {
            record,
            allowed,
            installed,
            services,
            library,
            time_limit,
            places: Arc::new(Semaphore::new(PLACES)),
            waiting: AtomicUsize::new(0),
            quarantine: Mutex::new(None),
            durations,
            tally: Tally::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.record.name
    }

    /// Performs a call of an action. A call that outlasts the time limit is
    /// abandoned: its thread goes on, but nothing is done for it any more.
    pub(super) async fn perform(
        self: &Arc<Self>,
        info: &ActionInfo,
        request: Request,
        permissions: Permissions,
        events: Events,
    ) -> Result<Answer, ActionError> {
        self.check_quarantine()?;
        let place = self.place().await?;
        self.check_quarantine()?;
        self.tally.calls.fetch_add(1, Ordering::Relaxed);
        let record = events.clone();
        let rights = Rights { principal: request.principal.clone(), permissions, events };
        let call = self.call(request);
        let began = Instant::now();
        let deadline = began + self.time_limit;
        let outcome = match self.run(call, rights, deadline, place) {
            Ok(running) => tokio::time::timeout_at(deadline.into(), running).await,
            Err(error) => Ok(Ok(Outcome::Error(error))),
        };
        self.durations.observe(began.elapsed().as_secs_f64());
        let result = match outcome {
            Ok(Ok(outcome)) => self.judge(info, outcome, &record),
            Ok(Err(_)) => Err(self.own_failure(info, "its thread ended without an answer")),
            Err(_) => {
                let error = self.enter_quarantine(info);
                let event = Event::of(Kind::Plugin, &Principal::plugin(self.name()), &info.name);
                record.record(event.failed(&error.message));
                Err(error)
            }
        };
        if result.is_err() {
            self.tally.failed.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    pub(super) fn check_quarantine(&self) -> Result<(), ActionError> {
        match &*self.quarantine.lock() {
            None => Ok(()),
            Some(Quarantine { since, why }) => Err(ActionError::unavailable(format!(
                "the plugin {} is in quarantine since {since}: {why}",
                self.name()
            ))),
        }
    }

    /// A place to run in, waited for at most as long as a call may last.
    async fn place(&self) -> Result<OwnedSemaphorePermit, ActionError> {
        let busy = || ActionError::unavailable(format!("the plugin {} is busy", self.name()));
        let waiting = Waiting::enter(&self.waiting).ok_or_else(busy)?;
        let place = self.places.clone().acquire_owned();
        let place = tokio::time::timeout(self.time_limit, place).await;
        drop(waiting);
        place.map_err(|_| busy())?.map_err(|_| busy())
    }

    fn call(&self, request: Request) -> Call {
        Call {
            word: request.word,
            rest: request.rest,
            caller: request.principal.caller(),
            topic: request.topic.map(|topic| topic.to_string()),
            received_at_ms: u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default(),
            duplicate: request.duplicate,
            settings: self.allowed.settings.clone(),
        }
    }

    /// Begins a call on a thread of its own, which holds the place until the
    /// plugin is done with it.
    fn run(
        self: &Arc<Self>,
        call: Call,
        rights: Rights,
        deadline: Instant,
        place: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Outcome<Answer>>, ActionError> {
        let (done, running) = oneshot::channel();
        let (plugin, runtime) = (self.clone(), tokio::runtime::Handle::current());
        let work = move || {
            let host = CallHost { plugin: &plugin, call: &call, rights, deadline, runtime };
            let outcome = plugin.library.perform(&call, &host);
            drop(place);
            // Nobody waits any more: it was abandoned.
            let _ = done.send(outcome);
        };
        let thread = std::thread::Builder::new().name(format!("plugin {}", self.name()));
        match thread.spawn(work) {
            Ok(_) => Ok(running),
            Err(error) => Err(ActionError::unavailable(format!("no thread for a plugin: {error}"))),
        }
    }

    fn judge(
        &self,
        info: &ActionInfo,
        outcome: Outcome<Answer>,
        record: &Events,
    ) -> Result<Answer, ActionError> {
        match outcome {
            Outcome::Ok(mut answer) => {
                answer.replies.retain(|reply| self.may_reply(info, &reply.topic, record));
                Ok(answer)
            }
            Outcome::Error(error) => Err(error),
            Outcome::Panic(what) => {
                self.tally.panics.fetch_add(1, Ordering::Relaxed);
                let what = if info.secret { "it panicked" } else { &*what };
                Err(self.own_failure(info, what))
            }
        }
    }

    /// A reply is no way around what is granted.
    fn may_reply(&self, info: &ActionInfo, topic: &str, record: &Events) -> bool {
        let granted = self.allowed.grants.may_publish(topic);
        if !granted {
            self.tally.refused();
            tracing::warn!(plugin = self.name(), action = %info.name, ?topic, "a reply's topic is not granted");
            let event = Event::of(Kind::Refusal, &Principal::plugin(self.name()), "publish");
            let why = format!("a reply of `{}` to `{topic}` is not granted", info.name);
            record.refused(event.refused(&why));
        }
        granted
    }

    fn own_failure(&self, info: &ActionInfo, what: &str) -> ActionError {
        tracing::error!(plugin = self.name(), action = %info.name, error = ?what, "a plugin's action failed");
        let name = self.name();
        ActionError::internal(format!("the plugin {name} failed; the server's log has more"))
    }

    fn enter_quarantine(&self, info: &ActionInfo) -> ActionError {
        let limit = self.time_limit.as_millis();
        let why = format!("a call of `{}` outlasted {limit} ms", info.name);
        tracing::error!(plugin = self.name(), %why, "plugin in quarantine");
        let mut quarantine = self.quarantine.lock();
        quarantine.get_or_insert_with(|| Quarantine { since: Timestamp::now(), why: why.clone() });
        ActionError::unavailable(format!("{why}; the plugin {} is in quarantine", self.name()))
    }

    pub(super) fn report(&self) -> PluginReport {
        let quarantine = self.quarantine.lock().clone();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let state =
            if quarantine.is_some() { PluginState::Quarantined } else { PluginState::Started };
        PluginReport {
            file: self.allowed.file.clone(),
            sha256: Some(self.allowed.sha256.as_str().to_owned()),
            name: Some(self.record.name.clone()),
            version: Some(self.record.version.clone()),
            api: Some(API),
            installed: self.installed,
            state,
            actions: self.record.actions.iter().map(|action| action.name.clone()).collect(),
            error: quarantine.as_ref().map(|quarantine| quarantine.why.clone()),
            calls: read(&self.tally.calls),
            failed: read(&self.tally.failed),
            panics: read(&self.tally.panics),
            refused: read(&self.tally.refused),
            quarantined_since: quarantine.map(|quarantine| quarantine.since),
        }
    }
}

/// One that waits for a place, counted as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Option<Self> {
        let entered = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < WAITING).then_some(entered)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
