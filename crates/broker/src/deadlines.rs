//! What is due at some time: wills and ends of sessions that nobody is connected
//! to, in one ordered map, with one entry per session, looked at a few times a
//! second; and keep alives, when all that are connected are looked at.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use latchlight_mqtt::ReasonCode;
use parking_lot::Mutex;

use crate::Time;
use crate::broker::Core;
use crate::hooks::Notice;
use crate::line::Closing;
use crate::session_handle::Session;
use crate::will::PendingWill;

/// How often the map is looked at.
const TICK: Duration = Duration::from_millis(200);

/// How often all sessions are looked at: for clients that say nothing, for
/// readers that take nothing, and for what they do not need.
const SWEEP: Time = 1000;

/// So many sessions are looked after before others of the thread have their
/// turn: of 10,000, no message waits until all were.
const TOGETHER: usize = 64;

/// When each session is to be looked at next.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    due: Mutex<BTreeMap<(Due, u64), Weak<Session>>>,
}

/// When something is due: never at once.
pub(crate) type Due = NonZeroU64;

/// What is due at the broker's very beginning is so a moment later.
pub(crate) fn due_at(time: Time) -> Due {
    Due::new(time).unwrap_or(Due::MIN)
}

/// The times of one session.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timers {
    /// The will is published.
    pub(crate) will: Option<Due>,
    /// The session ends.
    pub(crate) end: Option<Due>,
}

impl Timers {
    /// Where its entry in the map is.
    fn earliest(&self) -> Option<Due> {
        [self.will, self.end].into_iter().flatten().min()
    }
}

impl Deadlines {
    #[cfg(feature = "testing")]
    pub(crate) fn len(&self) -> usize {
        self.due.lock().len()
    }

    /// Sets the times of a session, in its locked line.
    pub(crate) fn set(&self, session: &Arc<Session>, timers: &mut Timers, new: Timers) {
        let before = std::mem::replace(timers, new).earliest();
        if before == timers.earliest() {
            return;
        }
        if let Some(before) = before {
            self.due.lock().remove(&(before, session.number));
        }
        self.schedule(session, timers);
    }

    /// A session without an entry gets one, if something of it is to be due.
    fn schedule(&self, session: &Arc<Session>, timers: &Timers) {
        if let Some(at) = timers.earliest() {
            self.due.lock().insert((at, session.number), Arc::downgrade(session));
        }
    }

    fn next(&self, now: Time) -> Option<(Due, Weak<Session>)> {
        let mut due = self.due.lock();
        let first = due.first_entry().filter(|entry| entry.key().0.get() <= now)?;
        let ((at, _), session) = first.remove_entry();
        Some((at, session))
    }
}

/// Does what is due until the broker stops; one task runs this.
pub(crate) async fn keep_house(core: Arc<Core>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut next_sweep = SWEEP;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = core.stop.cancelled() => return,
        }
        let now = core.clock.now();
        while let Some((at, session)) = core.deadlines.next(now) {
            if let Some(session) = session.upgrade() {
                core.do_due(&session, at, now);
                core.hooks.tell();
            }
        }
        if now >= next_sweep {
            next_sweep = now + SWEEP;
            look_after_connected(&core, now).await;
            core.expire_retained(now);
            core.hooks.note(None, Notice::SystemTick(Box::new(core.counters_snapshot())));
            core.hooks.tell();
        }
    }
}

/// Looks after all that are connected; messages come in between.
async fn look_after_connected(core: &Core, now: Time) {
    for (number, session) in core.all_sessions().enumerate() {
        if number % TOGETHER == 0 {
            tokio::task::yield_now().await;
        }
        if session.is_connected() {
            core.look_after(&session, now);
        }
    }
}

/// What has to be done for a session.
#[derive(Default)]
struct Work {
    will: Option<Box<PendingWill>>,
    ends: Option<u32>,
}

impl Core {
    /// Does what is due for a session, whose entry at `at` was taken out.
    fn do_due(&self, session: &Arc<Session>, at: Due, now: Time) {
        // The will leaves the store in the commit in which its receivers get it.
        let _together = self.recorder.as_ref().map(|recorder| recorder.together());
        let work = {
            let mut line = session.outbound.lock();
            if line.timers.earliest() != Some(at) {
                // Its times were set anew meanwhile, and so was its entry.
                return;
            }
            let mut work = Work::default();
            if line.timers.will.is_some_and(|will| will.get() <= now) {
                line.timers.will = None;
                work.will = line.will.take();
                if let Some(recorder) = self.recorder.as_ref().filter(|_| line.owed.is_logged()) {
                    recorder.will(session.number, None);
                }
            }
            if line.timers.end.is_some_and(|end| end.get() <= now) {
                line.timers.end = None;
                work.ends = Some(line.epoch);
            }
            self.deadlines.schedule(session, &line.timers);
            work
        };
        if let Some(will) = work.will {
            self.publish_will(*will);
        }
        if let Some(epoch) = work.ends {
            self.discard(session, epoch);
            if session.is_over() {
                self.counters.sessions_expired.one();
                self.hooks.note(Some(&session.known_client()), Notice::ClientExpired);
            }
        }
    }

    fn expire_retained(&self, now: Time) {
        self.system.lock().expire(now);
        let mut retained = self.retained.lock();
        let expired = retained.expire(now);
        if let Some(recorder) = &self.recorder {
            // Still locked: a newer message of the topic comes after this.
            for topic in &expired {
                recorder.not_retained(topic);
            }
        }
        for topic in expired {
            self.hooks.note(None, Notice::RetainedExpired(topic));
        }
    }

    /// Closes a connection that says nothing or takes nothing for too long (C16);
    /// what it does not need just now goes.
    fn look_after(&self, session: &Session, now: Time) {
        session.inbound.lock().rest();
        let mut line = session.outbound.lock();
        line.owed.rest();
        if line.closing.is_none()
            && line.is_silent(session.last_packet.load(Ordering::Relaxed), now)
        {
            // [MQTT-3.1.2-22]
            self.counters.keep_alive_timeouts.one();
            let reason = ReasonCode::KeepAliveTimeout;
            line.close(Closing { reason, say: true, reset: false });
        }
        let limit = u64::try_from(self.options.stalled_limit.as_millis()).unwrap_or(u64::MAX);
        if line.owed.stalled_for(now) > limit && line.closing.is_none() {
            self.counters.stalled_closed.one();
            let reason = ReasonCode::QuotaExceeded;
            line.close(Closing { reason, say: false, reset: true });
        }
    }
}
