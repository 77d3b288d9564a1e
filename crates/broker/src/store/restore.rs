//! From what a store holds back to sessions and retained messages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use latchlight_mqtt::{PacketId, TopicFilter};

use super::keys::{self, Kind};
use super::record::{self, MessageState, SessionRecord, WillRecord};
use super::{Keep, Recorder, SessionLog, Store, StoreError, StoredAs, StoredMessage};
use crate::broker::Core;
use crate::deadlines::{Timers, due_at};
use crate::message::Message;
use crate::session::Kept;
use crate::session_handle::Session;
use crate::subscriptions::Held;
use crate::topics::{Subscriber, Subscription};
use crate::will::PendingWill;
use crate::{ClientInfo, Time};

/// One message that a session is owed.
pub(crate) struct Restored {
    pub(crate) stored: u64,
    pub(crate) state: MessageState,
    pub(crate) kept: Option<Kept>,
}

/// What the store has of one session.
#[derive(Default)]
struct Parts {
    record: Option<SessionRecord>,
    subscriptions: Vec<(TopicFilter, Held)>,
    owed: BTreeMap<u64, Restored>,
    unreleased: Vec<PacketId>,
    will: Option<WillRecord>,
    /// The client may hold the packet id of a message that is not kept: what
    /// comes under it next would be taken for that one.
    ends: bool,
}

/// What was read, and what could not be.
struct Found<'a> {
    core: &'a Core,
    recorder: &'a Recorder,
    keep: Option<&'a Keep>,
    sessions: BTreeMap<u64, Parts>,
    newer_format: bool,
    has_this_format: bool,
    unreadable: usize,
    retained: usize,
    purged: usize,
}

/// Brings back what an earlier run has committed, but for the messages that
/// are not to be kept: those leave the store, too.
///
/// # Errors
/// The store cannot be read, or is of a newer version.
pub(crate) fn restore(
    core: &Arc<Core>,
    recorder: &Arc<Recorder>,
    store: &mut dyn Store,
    keep: Option<&Keep>,
) -> Result<(), StoreError> {
    let mut found = Found::new(core, recorder, keep);
    store.restore(&mut |key, value| {
        if found.take(key, value).is_none() {
            found.unreadable += 1;
        }
    })?;
    if found.newer_format {
        return Err(StoreError::new("it was written by a newer version"));
    }
    if !found.has_this_format {
        recorder.format();
    }
    if found.unreadable > 0 {
        tracing::error!(entries = found.unreadable, "the store has entries that cannot be read");
    }
    let sessions = found.sessions.len();
    for (number, parts) in std::mem::take(&mut found.sessions) {
        core.session_numbers.fetch_max(number + 1, std::sync::atomic::Ordering::Relaxed);
        if core.bring_back(recorder, number, parts).is_none() {
            recorder.forget(number);
        }
    }
    let Found { retained, purged, .. } = found;
    tracing::info!(sessions, retained, purged, "restored from the store");
    Ok(())
}

impl<'a> Found<'a> {
    fn new(core: &'a Core, recorder: &'a Recorder, keep: Option<&'a Keep>) -> Self {
        Self {
            core,
            recorder,
            keep,
            sessions: BTreeMap::new(),
            newer_format: false,
            has_this_format: false,
            unreadable: 0,
            retained: 0,
            purged: 0,
        }
    }

    /// Takes an entry in; nothing: it cannot be read.
    fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let (number, kind, rest) = keys::split(key)?;
        match kind {
            Kind::Format => {
                self.has_this_format = value.first() == Some(&record::FORMAT);
                self.newer_format = value.first().is_none_or(|format| *format > record::FORMAT);
            }
            Kind::Retained => self.take_retained(value)?,
            Kind::Session => self.of(number).record = Some(SessionRecord::decode(value)?),
            Kind::Subscription => {
                let filter = TopicFilter::try_from(std::str::from_utf8(rest).ok()?).ok()?;
                let held = record::decode_subscription(value)?;
                self.of(number).subscriptions.push((filter, held));
            }
            Kind::Message => {
                let stored = keys::number_of(rest.try_into().ok()?)?;
                self.take_owed(number, stored, value)?;
            }
            Kind::Unreleased => {
                let id = PacketId::new(u16::from_be_bytes(rest.try_into().ok()?))?;
                self.of(number).unreleased.push(id);
            }
            Kind::Will => {
                let will = record::decode_will(value, &self.core.clock)?;
                if self.keeps(&will.message, StoredAs::Will) {
                    self.of(number).will = Some(will);
                } else {
                    self.recorder.will(number, None);
                }
            }
        }
        Some(())
    }

    fn take_retained(&mut self, value: &[u8]) -> Option<()> {
        let message = Arc::new(record::decode_retained(value, &self.core.clock)?);
        if !self.keeps(&message, StoredAs::Retained) {
            self.recorder.not_retained(&message.topic);
            return Some(());
        }
        // It was taken once: the bounds do not take it away.
        self.core.retained.lock().set_own(message);
        self.retained += 1;
        Some(())
    }

    fn take_owed(&mut self, number: u64, stored: u64, value: &[u8]) -> Option<()> {
        let owed = record::decode_owed(value, stored, &self.core.clock)?;
        let state = owed.state;
        let message = owed.kept.as_ref().map(|kept| &kept.message);
        if message.is_some_and(|message| !self.keeps(message, StoredAs::Owed)) {
            self.recorder.not_owed(number, stored);
            self.of(number).ends |= matches!(state, MessageState::Sent(_));
            return Some(());
        }
        self.of(number).owed.insert(stored, Restored { stored, state, kept: owed.kept });
        Some(())
    }

    fn keeps(&mut self, message: &Message, stored_as: StoredAs) -> bool {
        let Message { topic, payload, .. } = message;
        let stored = StoredMessage { topic, payload, stored_as };
        let keeps = self.keep.is_none_or(|keep| keep(&stored));
        self.purged += usize::from(!keeps);
        keeps
    }

    fn of(&mut self, number: u64) -> &mut Parts {
        self.sessions.entry(number).or_default()
    }
}

impl Core {
    /// Brings one session back; nothing: there is no session to what there is.
    fn bring_back(
        self: &Arc<Self>,
        recorder: &Arc<Recorder>,
        number: u64,
        parts: Parts,
    ) -> Option<()> {
        let record = parts.record.filter(|_| !parts.ends)?;
        let SessionRecord { client_id, identity, expiry, gone_since } = record;
        let session = Session::new(client_id.clone(), identity.clone(), number);
        session.set_stored(true);
        let _ = session.record(expiry, gone_since);
        let next = parts.owed.last_key_value().map_or(0, |(stored, _)| *stored);
        let mut log = SessionLog::new(recorder, &session, next);
        log.note_expiry(expiry, 0);
        parts.unreleased.into_iter().for_each(|id| session.inbound.lock().take(id));
        let count = parts.subscriptions.len();
        for (filter, held) in parts.subscriptions {
            self.counters.subscribed(&filter);
            self.index.add(&filter, subscription(&session, held));
            session.subscriptions.lock().insert(filter, held);
        }
        session.note_subscriptions(count);
        let mut line = session.outbound.lock();
        line.owed.tells = self.hooks.tells(&Arc::new(session.absent_client()));
        line.owed.restore(log, parts.owed.into_values());
        line.will = parts.will.map(|will| Box::new(pending(will, &client_id, identity)));
        // Who was connected to the earlier run has been gone since now.
        let passed = gone_since.map_or(0, |at| self.clock.started().saturating_sub(at));
        let left = |interval: Time| {
            due_at(self.clock.now().saturating_add(interval.saturating_sub(passed)))
        };
        let timers = Timers {
            will: line.will.as_ref().map(|will| left(will.delay.min(expiry))),
            end: Some(left(expiry)),
        };
        self.deadlines.set(&session, &mut line.timers, timers);
        drop(line);
        self.sessions.lock().insert(session);
        self.counters.sessions.one();
        Some(())
    }
}

fn pending(will: WillRecord, client_id: &Arc<str>, identity: Arc<str>) -> PendingWill {
    let WillRecord { message, delay, version } = will;
    let client = ClientInfo {
        client_id: client_id.clone(),
        identity,
        address: None,
        certificate: None,
        version,
        connected_at: SystemTime::UNIX_EPOCH,
    };
    PendingWill::restored(message, delay, client)
}

fn subscription(session: &Arc<Session>, Held { options, identifier }: Held) -> Subscription {
    Subscription {
        subscriber: Subscriber::Session(session.clone()),
        qos: options.qos,
        no_local: options.no_local,
        retain_as_published: options.retain_as_published,
        identifier,
    }
}
