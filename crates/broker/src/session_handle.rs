//! A session as the whole broker holds it: the pure parts behind locks, and
//! the socket beside them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use latchlight_mqtt::{ReasonCode, SubscriptionOptions, TopicFilter};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use crate::counters::Counters;
use crate::message::Message;
use crate::session::{Inbound, Outbound};
use crate::transport::Transport;
use crate::{ClientInfo, Options, Time};

/// A session, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client_id: Arc<str>,
    pub(crate) identity: Arc<str>,
    pub(crate) outbound: Mutex<Line>,
    pub(crate) inbound: Mutex<Inbound>,
    pub(crate) subscriptions: Mutex<FxHashMap<TopicFilter, SubscriptionOptions>>,
    subscription_count: AtomicUsize,
    /// Published when the session ends, or at its time if nobody came back.
    pub(crate) will: Mutex<Option<PendingWill>>,
    /// Wakes publishers that wait for this reader.
    pub(crate) drained: Notify,
    pub(crate) last_packet: AtomicU64,
    connected: AtomicBool,
}

/// A will that was not published yet.
#[derive(Debug, Clone)]
pub(crate) struct PendingWill {
    pub(crate) message: Arc<Message>,
    /// How long it waits after its connection, in ms.
    pub(crate) delay: Time,
}

/// What a client is owed, and the socket by which it gets it.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) owed: Outbound,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    /// Wakes the connection's task: to wait for room in the socket, or to end.
    pub(crate) wake: Arc<Notify>,
    /// Counts the connections of this session: an old one must not touch what
    /// a newer one has.
    pub(crate) epoch: u64,
    /// The connection is to be closed.
    pub(crate) closing: Option<Closing>,
    pub(crate) info: Option<Arc<ClientInfo>>,
    /// Some thread will write soon.
    scheduled: bool,
    /// The socket takes no more for now.
    pub(crate) blocked: bool,
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

impl Session {
    pub(crate) fn new(client_id: Arc<str>, identity: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            client_id,
            identity,
            outbound: Mutex::default(),
            inbound: Mutex::default(),
            subscriptions: Mutex::default(),
            subscription_count: AtomicUsize::new(0),
            will: Mutex::default(),
            drained: Notify::new(),
            last_packet: AtomicU64::new(0),
            connected: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub(crate) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }

    pub(crate) fn has_many_subscriptions(&self) -> bool {
        self.subscription_count.load(Ordering::Relaxed) != 1
    }

    pub(crate) fn note_subscriptions(&self, count: usize) {
        self.subscription_count.store(count, Ordering::Relaxed);
    }

    /// Asks for the end of the connection of this epoch; its task does it.
    pub(crate) fn close(&self, epoch: u64, closing: Closing) {
        let mut line = self.outbound.lock();
        if line.epoch == epoch && line.owed.is_connected() {
            line.close(closing);
            line.wake.notify_one();
        }
    }

    /// Writes what waits, as far as the socket takes it.
    pub(crate) fn flush(&self, now: Time, options: &Options, counters: &Counters) {
        let mut line = self.outbound.lock();
        line.scheduled = false;
        let was_congested = line.owed.is_congested(options);
        let result = line.write(now, counters);
        line.owed.pump(now, options, counters);
        let result = result.and_then(|()| line.write(now, counters));
        let blocked = match result {
            Ok(()) => false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            Err(_) => {
                let reason = ReasonCode::UnspecifiedError;
                line.close(Closing { reason, say: false, reset: true });
                true
            }
        };
        // Its own task waits for the socket, or ends.
        let wake = blocked && !line.blocked || line.closing.is_some();
        line.blocked = blocked;
        let drained = was_congested && !line.owed.is_congested(options);
        if wake {
            line.wake.notify_one();
        }
        drop(line);
        if drained {
            self.drained.notify_waiters();
        }
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
    }

    fn write(&mut self, now: Time, counters: &Counters) -> io::Result<()> {
        let Some(transport) = self.transport.clone() else { return Ok(()) };
        // What a reset is to hold back must not leave any more.
        if self.closing.is_some_and(|closing| closing.reset) {
            return Ok(());
        }
        while let Some(output) = self.owed.output().filter(|output| !output.is_empty()) {
            let written = output.write_to(|slices| transport.try_write(slices))?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            counters.bytes_out.add(written as u64);
            self.owed.progressed(now);
        }
        Ok(())
    }
}
