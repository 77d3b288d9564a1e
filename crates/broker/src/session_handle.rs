//! A session as the whole broker holds it: its pure parts behind locks, and
//! what others look at without one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use latchlight_mqtt::ProtocolVersion;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::counters::Counters;
use crate::line::{Closing, Line};
use crate::session::Inbound;
use crate::store::SessionRecord;
use crate::subscriptions::Subscriptions;
use crate::{ClientInfo, Options, Time};

/// A session, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client_id: Arc<str>,
    pub(crate) identity: Arc<str>,
    /// Tells sessions apart; never used twice.
    pub(crate) number: u64,
    pub(crate) outbound: Mutex<Line>,
    pub(crate) inbound: Mutex<Inbound>,
    pub(crate) subscriptions: Mutex<Subscriptions>,
    /// It has exactly one subscription.
    has_one_subscription: AtomicBool,
    seldom: OnceLock<Box<SeldomUsed>>,
    pub(crate) last_packet: AtomicU64,
    connected: AtomicBool,
    /// The store has it.
    stored: AtomicBool,
    ended: AtomicBool,
    over: AtomicBool,
    revoked: AtomicBool,
}

/// What few sessions need, made when it is needed first.
#[derive(Debug, Default)]
struct SeldomUsed {
    /// Wakes publishers that wait for this reader.
    drained: Notify,
    /// How long it outlives its connection, in ms, as the store was told last;
    /// and since when it has none, in Unix ms, 0 where it has one.
    expiry: AtomicU64,
    gone_since: AtomicU64,
}

impl Session {
    pub(crate) fn new(client_id: Arc<str>, identity: Arc<str>, number: u64) -> Arc<Self> {
        Arc::new(Self {
            client_id,
            identity,
            number,
            outbound: Mutex::default(),
            inbound: Mutex::default(),
            subscriptions: Mutex::default(),
            has_one_subscription: AtomicBool::new(false),
            seldom: OnceLock::new(),
            last_packet: AtomicU64::new(0),
            connected: AtomicBool::new(false),
            stored: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            over: AtomicBool::new(false),
            revoked: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub(crate) fn set_connected(&self, connected: bool, counters: &Counters) {
        match (self.connected.swap(connected, Ordering::Relaxed), connected) {
            (false, true) => counters.client_came(),
            (true, false) => counters.clients_connected.sub(1),
            _ => {}
        }
    }

    /// The session as the store is to have it from now on.
    pub(crate) fn record(&self, expiry: Time, gone_since: Option<u64>) -> SessionRecord {
        let seldom = self.seldom();
        seldom.expiry.store(expiry, Ordering::Relaxed);
        seldom.gone_since.store(gone_since.unwrap_or(0), Ordering::Relaxed);
        self.record_again()
    }

    /// The session as the store has it.
    pub(crate) fn record_again(&self) -> SessionRecord {
        let (client_id, identity) = (self.client_id.clone(), self.identity.clone());
        let seldom = self.seldom();
        let expiry = seldom.expiry.load(Ordering::Relaxed);
        let gone_since = Some(seldom.gone_since.load(Ordering::Relaxed)).filter(|at| *at > 0);
        SessionRecord { client_id, identity, expiry, gone_since }
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.stored.load(Ordering::Relaxed)
    }

    pub(crate) fn set_stored(&self, stored: bool) {
        self.stored.store(stored, Ordering::Relaxed);
    }

    /// The session takes no more subscriptions; gives those that it has.
    pub(crate) fn end(&self) -> Subscriptions {
        let mut subscriptions = self.subscriptions.lock();
        self.ended.store(true, Ordering::Relaxed);
        std::mem::take(&mut *subscriptions)
    }

    /// Whether it has ended; to be asked with the subscriptions locked.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether it has ended, and everything of it was taken back.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Everything of it was taken back; who waits for that looks again.
    pub(crate) fn set_over(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.note_drained();
    }

    /// It is to end with its connection, and nobody takes it up.
    pub(crate) fn revoke(&self) {
        self.revoked.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::SeqCst)
    }

    pub(crate) fn has_many_subscriptions(&self) -> bool {
        !self.has_one_subscription.load(Ordering::Relaxed)
    }

    pub(crate) fn note_subscriptions(&self, count: usize) {
        self.has_one_subscription.store(count == 1, Ordering::Relaxed);
    }

    /// Who is connected to it.
    pub(crate) fn client(&self) -> Option<Arc<ClientInfo>> {
        let line = self.outbound.lock();
        line.info.clone().filter(|_| line.owed.is_connected())
    }

    /// Who was connected to it last, as far as this run knows.
    pub(crate) fn known_client(&self) -> Arc<ClientInfo> {
        let known = self.outbound.lock().info.clone();
        known.unwrap_or_else(|| Arc::new(self.absent_client()))
    }

    /// Who it is that nobody has seen since the broker began.
    pub(crate) fn absent_client(&self) -> ClientInfo {
        ClientInfo {
            client_id: self.client_id.clone(),
            identity: self.identity.clone(),
            address: None,
            certificate: None,
            version: ProtocolVersion::V5,
            connected_at: SystemTime::UNIX_EPOCH,
        }
    }

    /// Asks for the end of the connection of this epoch; its task does it.
    pub(crate) fn close(&self, epoch: u32, closing: Closing) {
        let mut line = self.outbound.lock();
        if line.epoch == epoch && line.owed.is_connected() {
            line.close(closing);
        }
    }

    /// Writes what waits, as far as the socket takes it.
    pub(crate) fn flush(&self, now: Time, options: &Options, counters: &Counters) {
        let drained = self.outbound.lock().flush(now, options, counters);
        if drained {
            self.note_drained();
        }
    }

    /// What publishers wait by that wait for this reader.
    pub(crate) fn drained(&self) -> &Notify {
        &self.seldom().drained
    }

    fn seldom(&self) -> &SeldomUsed {
        self.seldom.get_or_init(Box::default)
    }

    /// It has caught up, or is gone.
    pub(crate) fn note_drained(&self) {
        if let Some(seldom) = self.seldom.get() {
            seldom.drained.notify_waiters();
        }
    }
}
