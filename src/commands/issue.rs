//! Issuing commands: from an order to a record to the device's lane.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::counts::Counts;
use super::idempotency::IdempotencyKeys;
use super::journal::Journal;
use super::lane::{Lanes, Signal};
use super::pace::{Pace, TooFast};
use super::retention::Retention;
use super::run_clock::RunClock;
use super::signature::Signer;
use super::{Begin, Command, CommandHandle, CommandId, JournalError, Launcher, Order, Status};
use crate::config::CommandSettings;
use crate::database::Database;
use crate::identity::Permissions;
use crate::identity::devices::DeviceCredentials;
use crate::identity::pins::Pins;
use crate::state::{DeviceId, DeviceState, State};

/// The commands of this server; cheap to clone.
#[derive(Clone)]
pub struct Commands {
    pub(super) core: Arc<Core>,
}

/// What commands are carried out with.
pub struct CommandParts {
    /// The way to the devices.
    pub launcher: Arc<dyn Launcher>,
    /// The roster.
    pub state: State,
    /// Who may do what, asked again when a command leaves.
    pub permissions: Permissions,
    /// What a PIN code is for, asked again when its command leaves.
    pub pins: Pins,
    /// Whose commands are signed, and by which key.
    pub credentials: DeviceCredentials,
    /// How long they live.
    pub settings: CommandSettings,
}

pub(super) struct Core {
    pub(super) journal: Journal,
    pub(super) lanes: Lanes,
    pub(super) launcher: Arc<dyn Launcher>,
    pub(super) signer: Signer,
    pub(super) permissions: Permissions,
    pub(super) pins: Pins,
    pub(super) state: State,
    pub(super) settings: CommandSettings,
    /// What has not ended, by id, so that the same id acts once.
    pub(super) under_way: Mutex<HashMap<CommandId, UnderWay>>,
    keys: IdempotencyKeys,
    pace: Pace,
    retention: Retention,
    pub(super) counts: Counts,
    closing: AtomicBool,
}

/// A command that has not ended, or whose end is not on record.
pub(super) struct UnderWay {
    command: watch::Sender<Command>,
    /// Of a command whose id its issuer made: locked until it is on record,
    /// for until then there may be no such command.
    recording: Option<Recording>,
}

type Recording = Arc<tokio::sync::Mutex<()>>;

/// A command that is not on record yet, and what holds those back who come
/// with the same id.
type Taken = (watch::Sender<Command>, Option<tokio::sync::OwnedMutexGuard<()>>);

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The id belongs to another command.
    #[error("the id {0} belongs to another command")]
    IdTaken(CommandId),
    /// Whoever asks has given too many.
    #[error(transparent)]
    TooFast(#[from] TooFast),
    /// Nothing is sent that is not on record.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
}

impl Commands {
    /// Opens the record and ends what an earlier run left under way.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn open(database: &Database, parts: CommandParts) -> Result<Self, JournalError> {
        let CommandParts { launcher, state, permissions, pins, credentials, settings } = parts;
        let clock = RunClock::start();
        let retention = Retention::new(database.pool.clone(), clock, &settings);
        let core = Core {
            retention,
            pace: Pace::new(&settings),
            journal: Journal::open(database).await?,
            lanes: Lanes::default(),
            launcher,
            signer: Signer::new(database, credentials),
            permissions,
            pins,
            state,
            settings,
            under_way: Mutex::default(),
            keys: IdempotencyKeys::new(database.pool.clone(), clock),
            counts: Counts::default(),
            closing: AtomicBool::new(false),
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// Issues what is ordered, all on record together before the first one
    /// leaves. An id that was seen before gives the command that it is. All are
    /// of one principal.
    ///
    /// # Errors
    /// Whoever asks has given too many, an id belongs to another command, the
    /// record cannot be written, or the server is stopping; then none is issued.
    pub async fn issue(&self, orders: Vec<Order>) -> Result<Vec<CommandHandle>, IssueError> {
        if self.core.closing.load(Ordering::SeqCst) {
            return Err(IssueError::Stopping);
        }
        self.core.pace.admit(&orders).inspect_err(|_| self.core.counts.too_fast())?;
        let mut handles = Vec::with_capacity(orders.len());
        let mut new = Vec::with_capacity(orders.len());
        for order in orders {
            match self.reserve(order).await {
                Ok(Reserved::New(taken)) => {
                    handles.push(CommandHandle::new(taken.0.subscribe()));
                    new.push(taken);
                }
                Ok(Reserved::Known(handle)) => handles.push(handle),
                Err(error) => {
                    self.give_back(&new);
                    return Err(error);
                }
            }
        }
        let record: Vec<Command> = new.iter().map(|(sender, _)| sender.borrow().clone()).collect();
        if record.is_empty() {
            return Ok(handles);
        }
        if let Err(error) = self.core.record(record).await {
            match error {
                JournalError::Failed(_) => self.give_back(&new),
                JournalError::InDoubt => self.end_in_doubt(new),
            }
            return Err(error.into());
        }
        for (sender, _recorded) in new {
            let (id, has_ended) = {
                let command = sender.borrow();
                announce(&command);
                if command.status.is_ended() {
                    self.core.counts.note(&command, None);
                }
                (command.id, command.status.is_ended())
            };
            if has_ended {
                self.core.under_way.lock().remove(&id);
            } else {
                self.core.enqueue(sender);
            }
        }
        Ok(handles)
    }

    /// Takes an id for an order, or finds the command that it belongs to. The
    /// record is asked only when the id is taken, so that a command that ends
    /// meanwhile is found in one place or the other.
    async fn reserve(&self, order: Order) -> Result<Reserved, IssueError> {
        let Some(id) = order.id else {
            let sender = watch::Sender::new(order.into_command(&self.core.settings));
            let (command, id) = (sender.clone(), sender.borrow().id);
            self.core.under_way.lock().insert(id, UnderWay { command, recording: None });
            return Ok(Reserved::New((sender, None)));
        };
        let taken = loop {
            match self.take(id, &order) {
                Ok(taken) => break taken,
                Err(recording) => {
                    if let Some(handle) = self.recorded(id, recording).await {
                        return order.known_as(handle);
                    }
                }
            }
        };
        match self.core.journal.get(id).await {
            Ok(None) => Ok(Reserved::New(taken)),
            Ok(Some(command)) => {
                self.give_back(&[taken]);
                order.known_as(CommandHandle::of_ended(command))
            }
            Err(error) => {
                self.give_back(&[taken]);
                Err(error.into())
            }
        }
    }

    /// Takes an id, unless it is taken: then whoever has it is recording, or
    /// has recorded.
    fn take(&self, id: CommandId, order: &Order) -> Result<Taken, Recording> {
        match self.core.under_way.lock().entry(id) {
            Entry::Occupied(taken) => Err(taken.get().recording.clone().unwrap_or_default()),
            Entry::Vacant(free) => {
                let command = watch::Sender::new(order.clone().into_command(&self.core.settings));
                let recording = Recording::default();
                let held = recording.clone().try_lock_owned().ok();
                free.insert(UnderWay { command: command.clone(), recording: Some(recording) });
                Ok((command, held))
            }
        }
    }

    /// The command of an id that was taken, when it is on record; nothing
    /// where it did not come to that, or where it has ended meanwhile.
    async fn recorded(&self, id: CommandId, recording: Recording) -> Option<CommandHandle> {
        drop(recording.lock().await);
        let under_way = self.core.under_way.lock();
        let same = |taken: &&UnderWay| {
            taken.recording.as_ref().is_none_or(|held| Arc::ptr_eq(held, &recording))
        };
        let taken = under_way.get(&id).filter(same)?;
        Some(CommandHandle::new(taken.command.subscribe()))
    }

    fn give_back(&self, taken: &[Taken]) {
        let mut under_way = self.core.under_way.lock();
        for (sender, _) in taken {
            under_way.remove(&sender.borrow().id);
        }
    }

    /// They may be on record, and do not leave: that goes there, too, as soon as
    /// it can. Until then their ids are theirs.
    fn end_in_doubt(&self, taken: Vec<Taken>) {
        for (sender, _recording) in taken {
            let mut ended = sender.borrow().clone();
            if !ended.status.is_ended() {
                let why = "it did not leave: whether it was on record was not known in time";
                ended.end(Status::Expired, Some(why.to_owned()));
            }
            tracing::warn!(command = %ended.id, device = %ended.device, "command not sent");
            self.core.counts.note(&ended, None);
            sender.send_replace(ended.clone());
            tokio::spawn(self.core.clone().record_later(ended));
        }
    }

    fn under_way(&self, id: CommandId) -> Option<CommandHandle> {
        let under_way = self.core.under_way.lock();
        under_way.get(&id).map(|taken| CommandHandle::new(taken.command.subscribe()))
    }

    /// One command, under way or ended.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn get(&self, id: CommandId) -> Result<Option<Command>, JournalError> {
        match self.under_way(id) {
            Some(handle) => Ok(Some(handle.snapshot())),
            None => self.core.journal.get(id).await,
        }
    }

    /// The commands of a device, newest first; `before` is the last id of the
    /// page before.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn of_device(
        &self,
        device: &DeviceId,
        before: Option<CommandId>,
        limit: u32,
    ) -> Result<Vec<Command>, JournalError> {
        let mut commands = self.core.journal.of_device(device, before, limit).await?;
        for command in &mut commands {
            if let Some(handle) = self.under_way(command.id) {
                *command = handle.snapshot();
            }
        }
        Ok(commands)
    }

    /// Begins a request that carries an Idempotency-Key.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn begin_once(
        &self,
        identity: &str,
        route: &str,
        key: &str,
        body: &[u8],
    ) -> Result<Begin, JournalError> {
        self.core.keys.begin(identity, route, key, body).await
    }

    /// A device says what became of a command; false where it has no such
    /// command outstanding.
    pub fn acknowledge(
        &self,
        device: &DeviceId,
        id: CommandId,
        result: Result<(), String>,
    ) -> bool {
        self.core
            .lanes
            .signal(device, |outstanding| (outstanding == id).then_some(Signal::Ack(result)))
    }

    /// A device says its state, which may end its outstanding command.
    pub fn observe(&self, device: &DeviceId, state: DeviceState) {
        self.core.lanes.signal(device, |_| Some(Signal::State(state)));
    }

    /// What is counted of commands, for Prometheus.
    pub fn register_counts(&self, registry: &mut Registry) {
        let under_way = self.core.under_way.lock().len();
        let help = "Commands that have not ended";
        let under_way = ConstGauge::new(i64::try_from(under_way).unwrap_or(i64::MAX));
        registry.register("commands_in_flight", help, under_way);
        self.core.counts.register(registry);
    }

    /// Removes from the record, bit by bit, what is not kept any longer; it
    /// ends when it is dropped.
    pub async fn keep_house(&self) {
        self.core.retention.run().await;
    }

    /// Issues nothing more, and waits until what is under way has ended, at
    /// the most this long.
    pub async fn close(&self, patience: Duration) {
        self.core.closing.store(true, Ordering::SeqCst);
        let open: Vec<_> = self
            .core
            .under_way
            .lock()
            .values()
            .map(|open| CommandHandle::new(open.command.subscribe()))
            .collect();
        if open.is_empty() {
            return;
        }
        tracing::info!(commands = open.len(), "wait for the commands that are under way");
        let ended = futures_util::future::join_all(open.iter().map(CommandHandle::ended));
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!("some commands have not ended: they will be recorded as unconfirmed");
        }
    }
}

/// What an id stands for.
pub(super) enum Reserved {
    New(Taken),
    Known(CommandHandle),
}

fn announce(command: &Command) {
    let Command { id, device, verb, issuer, .. } = command;
    match &command.detail {
        Some(why) if command.status == Status::Refused => {
            tracing::warn!(command = %id, %device, %verb, %issuer, %why, "command refused");
        }
        _ => tracing::info!(command = %id, %device, %verb, %issuer, "command issued"),
    }
}
