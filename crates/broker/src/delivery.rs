//! Who may receive what: asked at delivery, where the access hook wants that.
//! What it says is kept with the route, until the client connects anew or the
//! hook's rules are looked at again; what waited before is sifted then.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytestring::ByteString;
use parking_lot::{Mutex, MutexGuard};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::broker::Core;
use crate::line::Line;
use crate::message::Message;
use crate::session_handle::Session;
use crate::topics::Retained;
use crate::{ClientInfo, Time};

/// What the hook said of one topic, by the session's number: no more than
/// there are subscribers of the topic.
#[derive(Debug, Default)]
pub(crate) struct Verdicts(Mutex<FxHashMap<u64, Verdict>>);

#[derive(Debug, Clone, Copy)]
struct Verdict {
    /// The session's [`Line::rights`] when the hook was asked.
    rights: u32,
    allowed: bool,
}

impl Verdicts {
    fn get(&self, session: &Session, rights: u32) -> Option<bool> {
        let known = self.0.lock().get(&session.number).copied();
        known.filter(|known| known.rights == rights).map(|known| known.allowed)
    }

    fn put(&self, session: &Session, rights: u32, allowed: bool) {
        self.0.lock().insert(session.number, Verdict { rights, allowed });
    }
}

impl Core {
    pub(crate) fn checks_delivery(&self) -> bool {
        self.checks_delivery.load(Ordering::Relaxed)
    }

    /// Asks the hook whether it wants to be asked. `begins`: not to be told
    /// that it does not, for there may still be somebody whom that matters to.
    pub(crate) fn ask_whether_it_checks(&self, begins: bool) {
        let _one_by_one = self.asking.lock();
        let checks = self.access.checks_delivery();
        if checks || !begins {
            self.checks_delivery.store(checks, Ordering::Relaxed);
        }
    }

    /// Locks a session's line, to give it a message of this topic; nothing: it
    /// may not receive it. The hook is asked with nothing locked.
    pub(crate) fn line_for<'a>(
        &self,
        session: &'a Session,
        topic: &str,
        verdicts: &Verdicts,
    ) -> Option<MutexGuard<'a, Line>> {
        if !self.checks_delivery() {
            return Some(session.outbound.lock());
        }
        loop {
            let line = session.outbound.lock();
            let rights = line.rights;
            match verdicts.get(session, rights) {
                Some(true) => return Some(line),
                Some(false) => {
                    self.counters.deliveries_refused.one();
                    return None;
                }
                None => {}
            }
            // Nobody has come since the broker began; what waits for whoever
            // comes is sifted then.
            let Some(info) = line.info.clone() else { return Some(line) };
            drop(line);
            verdicts.put(session, rights, self.access.authorize_receive(&info, topic));
        }
    }

    /// The retained messages that a filter brings a client, and the lock that
    /// they stay as they are by.
    pub(crate) fn retained_for(
        &self,
        client: &ClientInfo,
        filter: &str,
        now: Time,
    ) -> (MutexGuard<'_, Retained>, Vec<Arc<Message>>) {
        let mut allowed: FxHashMap<ByteString, bool> = FxHashMap::default();
        loop {
            let retained = self.shelf(filter).lock();
            let mut messages = retained.matching(filter, now);
            if !self.checks_delivery() {
                return (retained, messages);
            }
            let unknown = |message: &&Arc<Message>| !allowed.contains_key(&message.topic);
            let unknown: Vec<_> =
                messages.iter().filter(unknown).map(|m| m.topic.clone()).collect();
            if unknown.is_empty() {
                let all = messages.len();
                messages.retain(|message| allowed[&message.topic]);
                self.counters.deliveries_refused.add((all - messages.len()) as u64);
                return (retained, messages);
            }
            drop(retained);
            for topic in unknown {
                let may = self.access.authorize_receive(client, &topic);
                allowed.insert(topic, may);
            }
        }
    }

    /// Asks about everything that waits for a client, with and without a
    /// connection, and drops what it may not receive; then the rest goes on.
    pub(crate) fn sift(&self, session: &Session) {
        let (info, rights, topics) = {
            let mut line = session.outbound.lock();
            let Some(info) = line.info.clone() else { return };
            // What comes from here on is asked about anew.
            line.rights += 1;
            let checks = self.checks_delivery();
            let topics = if checks { line.owed.unsent_topics() } else { FxHashSet::default() };
            (info, line.rights, topics)
        };
        let mut refused = FxHashSet::default();
        for topic in topics {
            if !self.access.authorize_receive(&info, &topic) {
                refused.insert(topic);
            }
        }
        let now = self.clock.now();
        let mut line = session.outbound.lock();
        // Another has begun since: it lets the rest go on.
        if line.rights != rights {
            return;
        }
        let dropped = line.owed.drop_unsent(&refused, &self.counters);
        self.counters.deliveries_refused.add(dropped as u64);
        line.owed.go_on();
        line.owed.pump(now, &self.options, &self.counters);
        drop(line);
        session.flush(now, &self.options, &self.counters);
    }
}
