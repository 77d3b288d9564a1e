//! Gathers changes for the next commit.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use latchlight_mqtt::{PacketId, TopicFilter};
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::keys::{self, Key};
use super::record::{self, SessionRecord};
use crate::Time;
use crate::broker::Core;
use crate::message::Message;
use crate::session_handle::Session;
use crate::subscriptions::Held;
use crate::time::Clock;
use crate::will::PendingWill;

/// How long a commit may take, in ms, before it counts as one that fails.
pub(super) const HANGS: Time = 5000;

/// Notes what changes. Each note gives the number of the commit that it is
/// part of.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(super) clock: Clock,
    most_bytes: usize,
    pub(super) pending: Mutex<Pending>,
    /// Held by who notes several changes that belong together.
    together: RwLock<()>,
    /// Something is pending, or no more will be.
    pub(super) filled: Condvar,
    committed: AtomicU64,
    /// The last commit with which a session is forgotten.
    forgotten: AtomicU64,
    /// Whose output waits for which commit.
    waiting: Mutex<Vec<(u64, Weak<Session>)>>,
    pub(super) failing: AtomicBool,
    /// Wakes who waits for a commit.
    progress: Notify,
    /// When the commit began that is under way, by the clock, plus 1; 0: none
    /// is.
    committing: AtomicU64,
}

/// The changes of the next commit.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The number of that commit.
    pub(super) commit: u64,
    pub(super) entries: FxHashMap<Key, Entry>,
    pub(super) forgotten: Vec<u64>,
    bytes: usize,
    /// Something was noted for it, and may have been taken back since: there
    /// may be who waits for it, also where nothing of it is left.
    pub(super) is_due: bool,
    pub(super) stopping: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// Nothing: the key goes.
    pub(super) value: Option<Vec<u8>>,
    /// The store does not have the key.
    fresh: bool,
}

impl Recorder {
    pub(crate) fn new(clock: Clock, most_bytes: usize) -> Self {
        Self {
            clock,
            most_bytes,
            pending: Mutex::new(Pending { commit: 1, ..Pending::default() }),
            together: RwLock::new(()),
            filled: Condvar::new(),
            committed: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            waiting: Mutex::default(),
            failing: AtomicBool::new(false),
            progress: Notify::new(),
            committing: AtomicU64::new(0),
        }
    }

    /// What is noted while this is held is part of one commit. It comes before
    /// every other lock, and must not be taken where it is held already.
    pub(crate) fn together(&self) -> RwLockReadGuard<'_, ()> {
        self.together.read()
    }

    /// Takes out what is pending, when it is whole.
    pub(super) fn take(&self) -> Pending {
        let _nobody_notes = self.together.write();
        self.take_pending()
    }

    /// The same with all that is to be in a store, for one that has lost what
    /// it had.
    pub(super) fn take_everything(&self, core: &Core) -> Pending {
        let _nobody_notes = self.together.write();
        core.note_everything(self);
        self.take_pending()
    }

    fn take_pending(&self) -> Pending {
        let mut pending = self.pending.lock();
        let (commit, stopping) = (pending.commit + 1, pending.stopping);
        std::mem::replace(&mut *pending, Pending { commit, stopping, ..Pending::default() })
    }

    /// The number of the last commit.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Whether it takes no more messages: the store does not keep up, or
    /// cannot write at all.
    pub(crate) fn is_full(&self) -> bool {
        self.is_failing() || self.pending.lock().bytes > self.most_bytes
    }

    /// Whether the last try to commit has failed, or takes so long that
    /// nobody is to wait for it.
    pub(crate) fn is_failing(&self) -> bool {
        if self.failing.load(Ordering::Relaxed) {
            return true;
        }
        let since = self.committing.load(Ordering::Relaxed);
        since > 0 && self.clock.now().saturating_sub(since) > HANGS
    }

    /// A try to commit begins.
    pub(super) fn begins(&self) {
        self.committing.store(self.clock.now() + 1, Ordering::Relaxed);
    }

    /// It has ended; gives how long it took, in ms.
    pub(super) fn ends(&self) -> Time {
        let since = self.committing.swap(0, Ordering::Relaxed);
        (self.clock.now() + 1).saturating_sub(since)
    }

    /// What is written is of this version.
    pub(super) fn format(&self) -> u64 {
        self.put(keys::format(), vec![record::FORMAT], false)
    }

    /// A session has this much to its name now.
    pub(crate) fn session(&self, number: u64, record: &SessionRecord) -> u64 {
        self.put(keys::session(number), record.encode(), false)
    }

    pub(crate) fn subscribed(&self, number: u64, filter: &TopicFilter, held: &Held) -> u64 {
        self.put(keys::subscription(number, filter), record::encode_subscription(held), false)
    }

    pub(crate) fn unsubscribed(&self, number: u64, filter: &TopicFilter) -> u64 {
        self.delete(keys::subscription(number, filter))
    }

    /// A client's QoS 2 message was taken, and not released yet.
    pub(crate) fn taken(&self, number: u64, id: PacketId) -> u64 {
        self.put(keys::unreleased(number, id), Vec::new(), false)
    }

    pub(crate) fn released(&self, number: u64, id: PacketId) -> u64 {
        self.delete(keys::unreleased(number, id))
    }

    pub(crate) fn will(&self, number: u64, will: Option<&PendingWill>) -> u64 {
        match will {
            Some(will) => {
                let (message, client) = (will.message(), will.client());
                let value = record::encode_will(message, will.delay, client, &self.clock);
                self.put(keys::will(number), value, false)
            }
            None => self.delete(keys::will(number)),
        }
    }

    pub(crate) fn retained(&self, message: &Message) -> u64 {
        let key = keys::retained(&message.topic);
        if message.payload.is_empty() {
            return self.delete(key);
        }
        self.put(key, record::encode_retained(message, &self.clock), false)
    }

    pub(crate) fn not_retained(&self, topic: &str) -> u64 {
        self.delete(keys::retained(topic))
    }

    /// A session is not owed this message any more.
    pub(super) fn not_owed(&self, number: u64, sequence: u64) -> u64 {
        self.delete(keys::message(number, sequence))
    }

    /// Nothing of this session is needed any more.
    pub(crate) fn forget(&self, number: u64) -> u64 {
        let prefix = number.to_be_bytes();
        let mut pending = self.pending.lock();
        let Pending { entries, bytes, .. } = &mut *pending;
        entries.retain(|key, entry| {
            let stays = !key.starts_with(&prefix);
            if !stays {
                *bytes -= size(key, entry);
            }
            stays
        });
        pending.forgotten.push(number);
        self.forgotten.store(pending.commit, Ordering::Relaxed);
        self.noted(pending)
    }

    /// The commit after which no session is there that was forgotten.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    pub(super) fn put(&self, key: Key, value: Vec<u8>, fresh: bool) -> u64 {
        let mut pending = self.pending.lock();
        let before = pending.entries.remove(&key);
        let fresh = before.as_ref().map_or(fresh, |before| before.fresh);
        let entry = Entry { value: Some(value), fresh };
        pending.bytes -= before.map_or(0, |before| size(&key, &before));
        pending.bytes += size(&key, &entry);
        pending.entries.insert(key, entry);
        self.noted(pending)
    }

    fn delete(&self, key: Key) -> u64 {
        let mut pending = self.pending.lock();
        let before = pending.entries.remove(&key);
        pending.bytes -= before.as_ref().map_or(0, |before| size(&key, before));
        // What the store never had need not be deleted there.
        if before.is_none_or(|before| !before.fresh) {
            let entry = Entry { value: None, fresh: false };
            pending.bytes += size(&key, &entry);
            pending.entries.insert(key, entry);
        }
        self.noted(pending)
    }

    fn noted(&self, mut pending: MutexGuard<'_, Pending>) -> u64 {
        pending.is_due = true;
        let commit = pending.commit;
        drop(pending);
        self.filled.notify_one();
        commit
    }

    /// The commit with which all is made that was noted up to now.
    pub(crate) fn last_noted(&self) -> u64 {
        let pending = self.pending.lock();
        if pending.is_due { pending.commit } else { pending.commit - 1 }
    }

    /// Waits until all that was noted up to now is committed.
    pub(crate) async fn catch_up(&self) {
        let last = self.last_noted();
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if self.committed() >= last {
                return;
            }
            progress.await;
        }
    }

    /// Has the session's output written once this commit is made. Where it
    /// was made just now, whoever appends to the output writes it.
    pub(super) fn write_after(&self, commit: u64, session: Weak<Session>) {
        let mut waiting = self.waiting.lock();
        if self.committed() < commit {
            waiting.push((commit, session));
        }
    }

    /// A commit was made: gives whose output waited for it.
    pub(super) fn made(&self, commit: u64) -> Vec<Weak<Session>> {
        self.committed.store(commit, Ordering::Release);
        let mut waiting = self.waiting.lock();
        let all = std::mem::take(&mut *waiting);
        let (due, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|(at, _)| *at <= commit);
        *waiting = rest;
        drop(waiting);
        self.progress.notify_waiters();
        due.into_iter().map(|(_, session)| session).collect()
    }
}

impl Pending {
    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.forgotten.is_empty()
    }
}

fn size(key: &Key, entry: &Entry) -> usize {
    // What an entry of the map takes, about.
    64 + key.len() + entry.value.as_ref().map_or(0, Vec::len)
}
