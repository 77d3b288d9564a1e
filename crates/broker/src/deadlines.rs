//! What is due at some time: keep alives, ends of sessions, wills. One heap
//! for all of them, looked at a few times a second.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use latchlight_mqtt::ReasonCode;
use parking_lot::Mutex;

use crate::Time;
use crate::broker::Core;
use crate::session_handle::{Closing, Session};

/// How often the heap is looked at.
const TICK: Duration = Duration::from_millis(200);

/// How often all sessions are looked at for readers that take nothing.
const SWEEP_EVERY: u32 = 25;

#[derive(Default)]
pub(crate) struct Deadlines {
    due: Mutex<BinaryHeap<Reverse<Due>>>,
}

struct Due {
    at: Time,
    what: What,
    session: Weak<Session>,
    /// The connection that it belongs to; a newer one makes it void.
    epoch: u64,
}

#[derive(Clone, Copy)]
pub(crate) enum What {
    /// The connection must have said something for this long, in ms.
    KeepAlive(Time),
    /// The session ends.
    SessionEnd,
    /// The will is published.
    Will,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl Deadlines {
    pub(crate) fn add(&self, at: Time, what: What, session: &Arc<Session>, epoch: u64) {
        let session = Arc::downgrade(session);
        self.due.lock().push(Reverse(Due { at, what, session, epoch }));
    }

    fn next(&self, now: Time) -> Option<Due> {
        let mut due = self.due.lock();
        if due.peek().is_some_and(|Reverse(next)| next.at <= now) {
            return due.pop().map(|Reverse(next)| next);
        }
        // A heap that was large once gives its memory back.
        if due.capacity() > 1024 && due.len() < due.capacity() / 4 {
            due.shrink_to_fit();
        }
        None
    }
}

/// Does what is due until the broker stops; one task runs this.
pub(crate) async fn keep_house(core: Arc<Core>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ticks = 0_u32;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = core.stop.cancelled() => return,
        }
        let now = core.clock.now();
        while let Some(due) = core.deadlines.next(now) {
            if let Some(session) = due.session.upgrade() {
                core.do_due(&session, due.what, due.epoch, now);
            }
        }
        ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(SWEEP_EVERY) {
            core.close_stalled(now);
            core.retained.lock().expire(now);
        }
    }
}

impl Core {
    fn do_due(&self, session: &Arc<Session>, what: What, epoch: u64, now: Time) {
        let connected = {
            let line = session.outbound.lock();
            if line.epoch != epoch {
                return;
            }
            line.owed.is_connected()
        };
        match what {
            What::KeepAlive(interval) if connected => {
                let end = session.last_packet.load(Ordering::Relaxed) + interval;
                if end > now {
                    return self.deadlines.add(end, what, session, epoch);
                }
                // [MQTT-3.1.2-22]
                self.counters.keep_alive_timeouts.one();
                let reason = ReasonCode::KeepAliveTimeout;
                session.close(epoch, Closing { reason, say: true, reset: true });
            }
            What::SessionEnd if !connected => self.discard(session, epoch),
            What::Will if !connected => self.publish_will(session),
            _ => {}
        }
    }

    /// Closes connections that take nothing for too long (C16).
    fn close_stalled(&self, now: Time) {
        let limit = u64::try_from(self.options.stalled_limit.as_millis()).unwrap_or(u64::MAX);
        let sessions: Vec<_> = self.sessions.lock().values().cloned().collect();
        for session in sessions.iter().filter(|session| session.is_connected()) {
            let (stalled, epoch) = {
                let line = session.outbound.lock();
                (line.owed.stalled_for(now), line.epoch)
            };
            if stalled > limit {
                self.counters.stalled_closed.one();
                let reason = ReasonCode::QuotaExceeded;
                session.close(epoch, Closing { reason, say: false, reset: true });
            }
        }
    }
}
