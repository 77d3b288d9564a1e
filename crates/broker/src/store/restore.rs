//! From what a store holds back to sessions and retained messages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use latchlight_mqtt::{PacketId, TopicFilter};

use super::keys::{self, Kind};
use super::record::{self, MessageState, SessionRecord, WillRecord};
use super::{Recorder, SessionLog, Store, StoreError};
use crate::broker::Core;
use crate::deadlines::Timers;
use crate::session::Kept;
use crate::session_handle::{Held, Session};
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
}

/// What was read, and what could not be.
#[derive(Default)]
struct Found {
    sessions: BTreeMap<u64, Parts>,
    newer_format: bool,
    has_format: bool,
    unreadable: usize,
    retained: usize,
}

/// Brings back what an earlier run has committed.
///
/// # Errors
/// The store cannot be read, or is of a newer version.
pub(crate) fn restore(
    core: &Arc<Core>,
    recorder: &Arc<Recorder>,
    store: &mut dyn Store,
) -> Result<(), StoreError> {
    let mut found = Found::default();
    store.restore(&mut |key, value| {
        if found.take(core, key, value).is_none() {
            found.unreadable += 1;
        }
    })?;
    if found.newer_format {
        return Err(StoreError::new("it was written by a newer version"));
    }
    if !found.has_format {
        recorder.format();
    }
    if found.unreadable > 0 {
        tracing::error!(entries = found.unreadable, "the store has entries that cannot be read");
    }
    let sessions = found.sessions.len();
    for (number, parts) in found.sessions {
        core.session_numbers.fetch_max(number + 1, std::sync::atomic::Ordering::Relaxed);
        if core.bring_back(recorder, number, parts).is_none() {
            recorder.forget(number);
        }
    }
    tracing::info!(sessions, retained = found.retained, "restored from the store");
    Ok(())
}

impl Found {
    /// Takes an entry in; nothing: it cannot be read.
    fn take(&mut self, core: &Core, key: &[u8], value: &[u8]) -> Option<()> {
        let (number, kind, rest) = keys::split(key)?;
        match kind {
            Kind::Format => {
                self.has_format = true;
                self.newer_format = value.first().is_none_or(|format| *format > record::FORMAT);
            }
            Kind::Retained => {
                let message = Arc::new(record::decode_retained(value, &core.clock)?);
                // It was taken once: the bounds do not take it away.
                core.retained.lock().set_own(message);
                self.retained += 1;
            }
            Kind::Session => self.of(number).record = Some(SessionRecord::decode(value)?),
            Kind::Subscription => {
                let filter = TopicFilter::try_from(std::str::from_utf8(rest).ok()?).ok()?;
                let held = record::decode_subscription(value)?;
                self.of(number).subscriptions.push((filter, held));
            }
            Kind::Message => {
                let stored = u64::from_be_bytes(rest.try_into().ok()?);
                let owed = record::decode_owed(value, stored, &core.clock)?;
                let restored = Restored { stored, state: owed.state, kept: owed.kept };
                self.of(number).owed.insert(stored, restored);
            }
            Kind::Unreleased => {
                let id = PacketId::new(u16::from_be_bytes(rest.try_into().ok()?))?;
                self.of(number).unreleased.push(id);
            }
            Kind::Will => self.of(number).will = Some(record::decode_will(value, &core.clock)?),
        }
        Some(())
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
        let SessionRecord { client_id, identity, expiry, gone_since } = parts.record?;
        let session = Session::new(client_id.clone(), identity.clone(), number);
        session.set_stored(true);
        let next = parts.owed.last_key_value().map_or(0, |(stored, _)| *stored);
        let log = SessionLog::new(recorder, &session, next);
        parts.unreleased.into_iter().for_each(|id| session.inbound.lock().take(id));
        let count = parts.subscriptions.len();
        for (filter, held) in parts.subscriptions {
            self.index.add(&filter, subscription(&session, held));
            session.subscriptions.lock().insert(filter, held);
        }
        session.note_subscriptions(count);
        self.counters.subscriptions.add(count as u64);
        let mut line = session.outbound.lock();
        line.owed.tells = self.hooks.tells(&Arc::new(session.absent_client()));
        line.owed.restore(log, parts.owed.into_values());
        line.will = parts.will.map(|will| pending(will, &client_id, identity));
        // Who was connected to the earlier run has been gone since now.
        let passed = gone_since.map_or(0, |at| self.clock.started().saturating_sub(at));
        let left = |interval: Time| self.clock.now() + interval.saturating_sub(passed);
        let timers = Timers {
            will: line.will.as_ref().map(|will| left(will.delay.min(expiry))),
            end: Some(left(expiry)),
            ..Timers::default()
        };
        self.deadlines.set(&session, &mut line.timers, timers);
        drop(line);
        self.sessions.lock().insert((*client_id).into(), session);
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
