//! The commands of one device, in order, one outstanding at a time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::counts::Progress;
use super::issue::Core;
use super::{Command, CommandId, Dispatch, Flight, FlightEnd, FlightEvent, JournalError, Status};
use crate::state::{Device, DeviceId, DeviceState};

/// How many words of a device may wait for its lane; more are left out, which
/// only a device that floods brings about.
const SIGNALS: usize = 64;

/// How long after the expiry the link may take to cut a connection before the
/// command is settled without it.
const CUT: Duration = Duration::from_secs(2);

/// How long after the record did not take the end of a command it is given
/// that again.
const RECORD_AGAIN: Duration = Duration::from_secs(1);

/// The lanes of all devices that have commands under way.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: Mutex<HashMap<DeviceId, Lane>>,
}

#[derive(Default)]
struct Lane {
    outstanding: Option<Outstanding>,
    waiting: VecDeque<watch::Sender<Command>>,
}

struct Outstanding {
    id: CommandId,
    signals: mpsc::Sender<Signal>,
}

/// What a device says while a command to it is outstanding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signal {
    /// `ack <command> ok`, or `ack <command> failed …`.
    Ack(Result<(), String>),
    /// `state …`.
    State(DeviceState),
}

/// How a command ended.
type Ending = (Status, Option<String>);

impl Lanes {
    /// Passes on what a device says, where a command is outstanding.
    pub(super) fn signal(
        &self,
        device: &DeviceId,
        signal: impl FnOnce(CommandId) -> Option<Signal>,
    ) -> bool {
        let lanes = self.lanes.lock();
        let outstanding = lanes.get(device.as_str()).and_then(|lane| lane.outstanding.as_ref());
        let Some(outstanding) = outstanding else { return false };
        signal(outstanding.id).is_some_and(|signal| outstanding.signals.try_send(signal).is_ok())
    }

    /// The next command of a device, now outstanding; without one the lane is
    /// over.
    fn next(&self, device: &DeviceId) -> Option<(watch::Sender<Command>, mpsc::Receiver<Signal>)> {
        let mut lanes = self.lanes.lock();
        let lane = lanes.get_mut(device.as_str())?;
        let Some(command) = lane.waiting.pop_front() else {
            lanes.remove(device.as_str());
            return None;
        };
        let (signals, receiver) = mpsc::channel(SIGNALS);
        let id = command.borrow().id;
        lane.outstanding = Some(Outstanding { id, signals });
        Some((command, receiver))
    }
}

impl Core {
    /// Puts a recorded command into its device's lane. It supersedes what
    /// waits there to do the opposite.
    pub(super) fn enqueue(self: &Arc<Self>, command: watch::Sender<Command>) {
        let (id, device, verb) = {
            let command = command.borrow();
            (command.id, command.device.clone(), command.verb)
        };
        let mut ended = Vec::new();
        let idle = {
            let mut lanes = self.lanes.lanes.lock();
            let idle = !lanes.contains_key(device.as_str());
            let lane = lanes.entry(device.clone()).or_default();
            let opposite =
                |waiting: &watch::Sender<Command>| waiting.borrow().verb == verb.opposite();
            for waiting in std::mem::take(&mut lane.waiting) {
                if opposite(&waiting) {
                    let detail = format!("{verb} {id} came meanwhile");
                    ended.push((waiting, (Status::Superseded, Some(detail))));
                } else {
                    lane.waiting.push_back(waiting);
                }
            }
            // C4: who is away is said to be so now, not when what is out ends.
            let away = self.state.device(&device).is_none_or(|device| !device.online);
            if away {
                ended.push((command, self.offline()));
            } else if lane.waiting.len() < self.settings.waiting_per_device {
                lane.waiting.push_back(command);
            } else {
                let detail = format!("{} commands wait for {device} already", lane.waiting.len());
                ended.push((command, (Status::Refused, Some(detail))));
            }
            idle
        };
        if idle {
            tokio::spawn(self.clone().run_lane(device));
        }
        for (command, ending) in ended {
            let core = self.clone();
            tokio::spawn(async move { core.settle(&command, ending).await });
        }
    }

    async fn run_lane(self: Arc<Self>, device: DeviceId) {
        while let Some((command, signals)) = self.lanes.next(&device) {
            let ending = self.carry_out(&command, signals).await;
            self.settle(&command, ending).await;
        }
    }

    /// Records the end of a command, then tells it.
    async fn settle(self: &Arc<Self>, command: &watch::Sender<Command>, (status, detail): Ending) {
        let mut ended = command.borrow().clone();
        ended.end(status, detail);
        let took = ended.ended_at.map(|end| end.duration_since(ended.issued_at));
        tracing::info!(
            command = %ended.id, device = %ended.device, verb = %ended.verb, outcome = %status,
            detail = ended.detail.as_deref(), took_ms = took.map(|t| t.as_millis() as u64),
            "command ended"
        );
        let since_issue = ended.deadline.map(|end| end.since(self.settings.lifetime()));
        self.counts.note(&ended, since_issue);
        if let Err(error) = self.record(vec![ended.clone()]).await {
            // What the device did is told all the same, and here it is known
            // until the record has it.
            tracing::error!(command = %ended.id, %error, "record the end of a command");
            tokio::spawn(self.clone().record_later(ended.clone()));
        } else {
            self.under_way.lock().remove(&ended.id);
        }
        command.send_replace(ended);
    }

    /// Records commands as they stand; what fails is counted.
    pub(super) async fn record(&self, commands: Vec<Command>) -> Result<(), JournalError> {
        let recorded = self.journal.record(commands).await;
        recorded.inspect_err(|_| self.counts.record_failed())
    }

    /// Records an end that the record did not take yet, for as long as it takes.
    pub(super) async fn record_later(self: Arc<Self>, ended: Command) {
        loop {
            tokio::time::sleep(RECORD_AGAIN).await;
            if self.record(vec![ended.clone()]).await.is_ok() {
                tracing::info!(command = %ended.id, "the end of a command is on record at last");
                self.under_way.lock().remove(&ended.id);
                return;
            }
        }
    }

    async fn carry_out(
        &self,
        command: &watch::Sender<Command>,
        signals: mpsc::Receiver<Signal>,
    ) -> Ending {
        let snapshot = command.borrow().clone();
        let Some(device) = self.state.device(&snapshot.device) else {
            return (Status::Offline, Some("the device was removed".to_owned()));
        };
        if snapshot.left().is_none() {
            let detail = "it waited behind another command and did not leave".to_owned();
            return (Status::Expired, Some(detail));
        }
        if !device.online {
            return self.offline();
        }
        let late = || (Status::Expired, Some("the database gave no word in time".to_owned()));
        let Some(left) = snapshot.left() else { return late() };
        let dispatch = match tokio::time::timeout(left, self.ready(&snapshot, &device)).await {
            Ok(Ok(dispatch)) => dispatch,
            Ok(Err(why)) => return (Status::Refused, Some(why)),
            Err(_) => return late(),
        };
        // C23: it may have waited, and who asked may be a guest no more. Nothing
        // is waited for behind this.
        let may = |asked_by| self.permissions.may_operate(asked_by, snapshot.verb, &device);
        if let Some(Err(why)) = snapshot.asked_by.as_ref().map(may) {
            return (Status::Refused, Some(why));
        }
        let flight = self.launcher.launch(&device, dispatch).await;
        let since_issue = snapshot.deadline.map(|end| end.since(self.settings.lifetime()));
        let progress = self.counts.progress(snapshot.verb, since_issue);
        Watching::new(command, &device, progress).watch(flight, signals).await
    }

    /// The end of a command whose device cannot be reached, by whose fault it
    /// is: without its broker, nobody knows of any device.
    fn offline(&self) -> Ending {
        let why = match self.launcher.is_up() {
            true => "the device is not connected",
            false => "the broker cannot be reached",
        };
        (Status::Offline, Some(why.to_owned()))
    }

    /// A command as it leaves, signed where its device wants that.
    ///
    /// # Errors
    /// It is not to leave, and why.
    async fn ready(&self, command: &Command, device: &Device) -> Result<Dispatch, String> {
        let dispatch = self.signer.sign(device, Dispatch::of(command)).await?;
        // C22: it may have waited, and the code may be for this no more. Last of
        // what the database is asked for, lest that be of a while ago.
        if let Some(pin) = command.asked_by.as_ref().and_then(|asked_by| asked_by.pin) {
            self.pins.may_operate(pin, command.verb, &device.id).await?;
        }
        Ok(dispatch)
    }
}

/// A command that is out, and what is known of it.
struct Watching<'a> {
    command: &'a watch::Sender<Command>,
    device: &'a Device,
    /// It may have reached the device.
    left: bool,
    /// The link took it.
    sent: bool,
    progress: Progress<'a>,
    /// What the device said of its state since it may have got it, while it is
    /// not known yet whether the link took it.
    early: Option<DeviceState>,
    /// Its connection is gone, though the device may still come back and say.
    lost: Option<String>,
}

impl<'a> Watching<'a> {
    fn new(
        command: &'a watch::Sender<Command>,
        device: &'a Device,
        progress: Progress<'a>,
    ) -> Self {
        Self { command, device, left: false, sent: false, progress, early: None, lost: None }
    }

    async fn watch(mut self, mut flight: Flight, mut signals: mpsc::Receiver<Signal>) -> Ending {
        let left = self.command.borrow().left();
        let expiry = tokio::time::sleep(left.unwrap_or_default());
        tokio::pin!(expiry);
        let mut flying = true;
        loop {
            tokio::select! {
                // What the link says comes first: a state counts only after sending.
                biased;
                event = flight.events.next(), if flying => match event {
                    Some(event) => match self.on_event(event) {
                        Some(ending) => return ending,
                        None => flying = self.lost.is_none(),
                    },
                    None => flying = false,
                },
                Some(signal) = signals.recv() => {
                    if let Some(ending) = self.on_signal(signal) {
                        self.progress.answered();
                        flight.receipt.confirm();
                        return ending;
                    }
                }
                () = &mut expiry => break,
            }
        }
        // The link cuts the connection of a device that was silent, so that
        // nothing arrives later; only then is the command settled.
        if flying {
            let cut = async {
                while let Some(event) = flight.events.next().await {
                    if let Some(ending) = self.on_event(event) {
                        return Some(ending);
                    }
                    if self.lost.is_some() {
                        return None;
                    }
                }
                None
            };
            if let Ok(Some(ending)) = tokio::time::timeout(CUT, cut).await {
                return ending;
            }
        }
        self.at_expiry()
    }

    fn at_expiry(self) -> Ending {
        if !self.left {
            return (Status::Expired, Some("it did not leave in time".to_owned()));
        }
        let why = self.lost.unwrap_or_else(|| "the device gave no word in time".to_owned());
        (Status::Unconfirmed, Some(why))
    }

    fn on_event(&mut self, event: FlightEvent) -> Option<Ending> {
        match event {
            FlightEvent::Leaving => {
                self.left = true;
                None
            }
            FlightEvent::Sent => {
                self.progress.sent();
                self.note(|command, now| {
                    command.status = Status::Sent;
                    command.sent_at = Some(now);
                });
                self.took()
            }
            FlightEvent::Delivered => {
                self.progress.delivered();
                self.note(|command, now| {
                    command.status = Status::Delivered;
                    command.sent_at.get_or_insert(now);
                    command.delivered_at = Some(now);
                });
                self.took()
            }
            FlightEvent::Ended(FlightEnd::Refused(why)) => Some((Status::Refused, Some(why))),
            FlightEvent::Ended(FlightEnd::Away(why)) => Some((Status::Offline, Some(why))),
            FlightEvent::Ended(FlightEnd::NeverLeft(why)) => Some((Status::Expired, Some(why))),
            FlightEvent::Ended(FlightEnd::Lost(why)) => {
                (self.left, self.sent) = (true, true);
                self.lost = Some(why);
                None
            }
        }
    }

    /// The link took it: what the device said meanwhile counts.
    fn took(&mut self) -> Option<Ending> {
        (self.left, self.sent) = (true, true);
        self.early.take().and_then(|state| self.on_state(state))
    }

    /// Whoever looks sees it; those who wait are woken by the end alone.
    fn note(&self, change: impl FnOnce(&mut Command, Timestamp)) {
        self.command.send_if_modified(|command| {
            change(command, Timestamp::now());
            false
        });
    }

    fn on_signal(&mut self, signal: Signal) -> Option<Ending> {
        match signal {
            Signal::Ack(Ok(())) => Some((Status::Confirmed, None)),
            Signal::Ack(Err(why)) => Some((Status::Failed, Some(why))),
            Signal::State(state) if self.sent => self.on_state(state),
            Signal::State(state) => {
                // What it said before it can have heard the command is no answer.
                self.early = Some(state).filter(|_| self.left);
                None
            }
        }
    }

    fn on_state(&self, state: DeviceState) -> Option<Ending> {
        if state == DeviceState::Jammed {
            return Some((Status::Failed, Some("jammed".to_owned())));
        }
        // A device that acknowledges is taken at its word, not at its state.
        let counts = !self.device.features.ack && state == self.command.borrow().verb.wanted();
        counts.then_some((Status::Confirmed, None))
    }
}
