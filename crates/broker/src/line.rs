//! What a client is owed together with the socket by which it gets it: what
//! any thread may lock for a moment to give the client something.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use latchlight_mqtt::ReasonCode;
use parking_lot::Mutex;

use crate::counters::Counters;
use crate::deadlines::Timers;
use crate::live::Ticket;
use crate::seldom::Seldom;
use crate::session::Outbound;
use crate::transport::Transport;
use crate::will::PendingWill;
use crate::{ClientInfo, Options, Time};

/// How often one flush fills the output again: what waits beyond that is the
/// connection's own task to send.
const ROUNDS: usize = 4;

/// A session's line to its client.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) owed: Outbound,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    /// The task that serves the connection.
    pub(crate) task: Arc<TaskBell>,
    /// Counts the connections of this session: an old one must not touch what
    /// a newer one has.
    pub(crate) epoch: u32,
    /// A live publish went to the transport, which is to be reset if the
    /// process ends just now.
    guarded: bool,
    /// Counts how often what the client may receive was to be asked anew.
    pub(crate) rights: u32,
    /// The connection is to be closed.
    pub(crate) closing: Option<Closing>,
    pub(crate) info: Option<Arc<ClientInfo>>,
    /// Published at the end of the connection or later, unless taken back.
    pub(crate) will: Option<Box<PendingWill>>,
    pub(crate) timers: Timers,
    /// For how long the client may be silent, in ms; 0: as it likes.
    pub(crate) silence: u32,
    /// Some thread will write soon.
    scheduled: bool,
    /// The socket takes no more for now.
    pub(crate) blocked: bool,
    /// More can be sent, by the connection's own task.
    pub(crate) has_more: bool,
    /// Some publisher waits for this reader.
    awaited: bool,
}

/// How others reach the task that serves a connection.
#[derive(Debug, Default)]
pub(crate) struct TaskBell(Mutex<Bell>);

#[derive(Debug, Default)]
struct Bell {
    /// It is to look at its line: to wait for room in the socket, or to end.
    rung: bool,
    /// A takeover left some of the output unsent, or resets the connection.
    cut: bool,
    /// The task, while it waits for a ring.
    waits: Option<Waker>,
    /// Live publishes that a takeover cut off; told when the socket is closed.
    lost: Seldom<Vec<Arc<Ticket>>>,
}

/// Why a connection is being closed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) reason: ReasonCode,
    /// Say it to a client of MQTT 5.
    pub(crate) say: bool,
    /// Throw away what was not sent.
    pub(crate) reset: bool,
}

impl TaskBell {
    fn ring(&self) {
        let task = {
            let mut bell = self.0.lock();
            bell.rung = true;
            bell.waits.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Whether it was rung since it was last asked; the task is woken by the
    /// next ring.
    pub(crate) fn poll_rung(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut bell = self.0.lock();
        if std::mem::take(&mut bell.rung) {
            return Poll::Ready(());
        }
        match &mut bell.waits {
            Some(task) => task.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Waits until it is rung; only its task does.
    pub(crate) async fn rung(&self) {
        poll_fn(|context| self.poll_rung(context)).await;
    }

    /// A takeover has cut these off, and perhaps some of the output.
    fn cut_off(&self, cut: bool, mut lost: Vec<Arc<Ticket>>) {
        let mut bell = self.0.lock();
        bell.cut = cut || !lost.is_empty();
        if !lost.is_empty() {
            bell.lost.append(&mut lost);
        }
    }

    /// Takes over what was cut off.
    pub(crate) fn take_lost(&self) -> Vec<Arc<Ticket>> {
        self.0.lock().lost.take()
    }

    /// Whether last words make no sense any more.
    pub(crate) fn was_cut(&self) -> bool {
        self.0.lock().cut
    }
}

impl Line {
    /// Whether the caller is the one to write: nobody else will before it.
    pub(crate) fn schedule(&mut self) -> bool {
        !std::mem::replace(&mut self.scheduled, true)
    }

    /// The first reason to close counts, but a reset is never taken back.
    pub(crate) fn close(&mut self, closing: Closing) {
        match &mut self.closing {
            Some(known) => known.reset |= closing.reset,
            none => *none = Some(closing),
        }
        self.task.ring();
    }

    /// Another connection begins: the one that there is ends without its
    /// session; its task closes the socket.
    pub(crate) fn take_over(&mut self, counters: &Counters) -> bool {
        if !self.owed.is_connected() {
            return false;
        }
        let cut = self.owed.output().is_some_and(|output| !output.is_empty());
        self.settle_live();
        self.owed.report(counters);
        let lost = self.owed.disconnect();
        self.let_go(!lost.is_empty());
        self.task.cut_off(cut, lost);
        self.task.ring();
        true
    }

    /// Before a live publish goes out: a process that is killed closes its
    /// sockets, and the system would go on to send what they have.
    pub(crate) fn guard(&mut self) {
        if !self.guarded
            && let Some(transport) = &self.transport
        {
            transport.reset_when_closed(true);
            self.guarded = true;
        }
    }

    /// The connection is over: its end is a reset, or in order.
    pub(crate) fn let_go(&mut self, reset: bool) {
        let reset = reset || self.closing.is_some_and(|closing| closing.reset);
        let guarded = std::mem::take(&mut self.guarded);
        if let Some(transport) = self.transport.take()
            && (reset || guarded)
        {
            transport.reset_when_closed(reset);
        }
    }

    /// Lets go of the live publishes that can arrive no more: they were
    /// confirmed, and the client's system has them.
    pub(crate) fn settle_live(&mut self) {
        if self.owed.has_confirmed_live()
            && let Some(bytes) = self.transport.as_ref().and_then(|t| t.on_their_way())
        {
            self.owed.settle_live(bytes);
        }
    }

    /// Whether a publisher should wait for this reader, which then is to tell
    /// when it has caught up.
    pub(crate) fn is_worth_waiting_for(&mut self, now: Time, options: &Options) -> bool {
        let worth = self.owed.is_worth_waiting_for(now, options);
        self.awaited |= worth;
        worth
    }

    /// Whether publishers that wait are to be woken now.
    pub(crate) fn has_caught_up(&mut self, options: &Options) -> bool {
        if self.awaited && !self.owed.is_congested(options) {
            self.awaited = false;
            return true;
        }
        false
    }

    /// Whether the client, whose last packet came then, is silent for longer
    /// than its keep alive allows.
    pub(crate) fn is_silent(&self, last_packet: Time, now: Time) -> bool {
        self.silence > 0 && last_packet + u64::from(self.silence) <= now
    }

    /// Writes what waits, as far as the socket takes it; true if the reader
    /// has caught up by that.
    pub(crate) fn flush(&mut self, now: Time, options: &Options, counters: &Counters) -> bool {
        self.scheduled = false;
        let result = self.write_all(now, options, counters);
        self.owed.report(counters);
        let blocked = match result {
            Ok(()) => false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            Err(_) => {
                let reason = ReasonCode::UnspecifiedError;
                self.close(Closing { reason, say: false, reset: true });
                true
            }
        };
        if self.owed.has_failed() {
            let reason = ReasonCode::UnspecifiedError;
            self.close(Closing { reason, say: true, reset: false });
        }
        // Its own task waits for the socket, or goes on.
        let wake = (blocked && !self.blocked) || self.has_more;
        self.blocked = blocked;
        if wake {
            self.task.ring();
        }
        self.has_caught_up(options)
    }

    fn write_all(&mut self, now: Time, options: &Options, counters: &Counters) -> io::Result<()> {
        self.has_more = false;
        self.write(now)?;
        for _ in 0..ROUNDS {
            self.owed.pump(now, options, counters);
            if self.owed.output().is_none_or(|output| !output.has_ready()) {
                return Ok(());
            }
            self.write(now)?;
        }
        self.has_more = true;
        Ok(())
    }

    fn write(&mut self, now: Time) -> io::Result<()> {
        // What a reset is to hold back must not leave any more.
        if self.closing.is_some_and(|closing| closing.reset) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let Some(transport) = self.transport.as_deref() else { return Ok(()) };
        while let Some(output) = self.owed.output().filter(|output| output.has_ready()) {
            let written = output.write_to(|slices| transport.try_write(slices))?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.owed.progressed(written, now);
        }
        Ok(())
    }
}
