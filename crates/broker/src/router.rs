//! The way of a message from its publisher to everyone who gets it.

use std::cell::RefCell;
use std::sync::Arc;

use latchlight_mqtt::ReasonCode;
use rustc_hash::FxHashMap;

use crate::ClientInfo;
use crate::broker::Core;
use crate::inline::InlineSink;
use crate::message::Forward;
use crate::session::{Accepted, Receiver};
use crate::session_handle::{Closing, Session};
use crate::topics::{Route, Subscriber};

/// How many routes a thread keeps.
const ROUTES: usize = 4096;

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

#[derive(Default)]
struct Cache {
    generation: u64,
    routes: FxHashMap<Box<str>, Arc<Route>>,
}

/// Who publishes.
#[derive(Clone, Copy)]
pub(crate) struct Publisher<'a> {
    pub(crate) session: &'a Arc<Session>,
    pub(crate) info: &'a Arc<ClientInfo>,
}

/// What the packets of one read have touched: written once, at the end.
#[derive(Default)]
pub(crate) struct Batch {
    touched: Vec<Arc<Session>>,
    congested: Option<Arc<Session>>,
    congested_inline: Option<Arc<InlineSink>>,
}

impl Batch {
    /// A session whose output has grown.
    pub(crate) fn touch(&mut self, session: &Arc<Session>) {
        self.touched.push(session.clone());
    }

    /// Writes everything out.
    pub(crate) fn flush(&mut self, core: &Core) {
        let now = core.clock.now();
        for session in std::mem::take(&mut self.touched) {
            session.flush(now, &core.options, &core.counters);
        }
    }

    /// Whether the publisher is to wait for a reader.
    pub(crate) fn is_congested(&self) -> bool {
        self.congested.is_some() || self.congested_inline.is_some()
    }

    /// Waits for the slow reader that was met, as long as it takes anything.
    pub(crate) async fn drained(&mut self, core: &Core) {
        if let Some(sink) = self.congested_inline.take() {
            sink.drained(core).await;
        }
        let Some(session) = self.congested.take() else { return };
        let patience = u64::try_from(core.options.stalled_after.as_millis()).unwrap_or(u64::MAX);
        loop {
            let waits = {
                let line = session.outbound.lock();
                line.owed.is_congested(&core.options)
                    && line.owed.stalled_for(core.clock.now()) <= patience
            };
            if !waits {
                return;
            }
            // The pause covers a wake-up that came between the look and the wait.
            let pause = std::time::Duration::from_millis(5);
            let _ = tokio::time::timeout(pause, session.drained.notified()).await;
        }
    }
}

impl Core {
    /// The route of a topic, from the thread's cache where it is good still.
    pub(crate) fn cached_route(&self, topic: &str) -> Arc<Route> {
        CACHE.with(|cache| {
            let mut cache = cache.borrow_mut();
            let generation = self.index.generation();
            if cache.generation != generation || cache.routes.len() >= ROUTES {
                cache.routes.clear();
                cache.generation = generation;
            }
            if let Some(route) = cache.routes.get(topic) {
                return route.clone();
            }
            let route = Arc::new(self.index.route(topic));
            // The index may have changed since: such a route is not kept.
            if route.generation == generation && self.index.generation() == generation {
                cache.routes.insert(topic.into(), route.clone());
            }
            route
        })
    }

    /// Publishes what does not come from a socket.
    pub(crate) fn publish_and_flush(
        &self,
        forward: &Forward<'_>,
        publisher: Option<Publisher<'_>>,
        dup: bool,
    ) -> ReasonCode {
        let route = self.index.route(forward.topic());
        let mut batch = Batch::default();
        let reason = self.publish(forward, &route, publisher, dup, &mut batch);
        batch.flush(self);
        reason
    }

    /// Gives a message to everyone who gets it; gives what PUBACK says.
    pub(crate) fn publish(
        &self,
        forward: &Forward<'_>,
        route: &Route,
        publisher: Option<Publisher<'_>>,
        dup: bool,
        batch: &mut Batch,
    ) -> ReasonCode {
        self.counters.messages_in.one();
        if forward.retain && self.retained.lock().set(forward.keep(), &self.options).is_err() {
            self.counters.retained_refused.one();
            return ReasonCode::QuotaExceeded;
        }
        if forward.is_expired() {
            self.counters.dropped_expired.one();
            return ReasonCode::Success;
        }
        if route.is_empty() {
            self.counters.messages_unmatched.one();
            return ReasonCode::NoMatchingSubscribers;
        }
        let mut tally = Tally::default();
        for target in &route.sessions {
            if let Some(receiver) = target.receiver_of(publisher.map(|p| p.session)) {
                tally.add(self.deliver(forward, &target.session, receiver, batch));
            }
        }
        for (sink, retain_as_published) in &route.inline {
            let info = publisher.map(|p| p.info.clone());
            tally.add(sink.deliver(forward, *retain_as_published, dup, info));
            if sink.is_congested(self) {
                batch.congested_inline = Some(sink.clone());
            }
        }
        for group in &route.groups {
            for member in group.in_turn() {
                let Subscriber::Session(session) = &member.subscriber else { continue };
                let accepted = self.deliver(forward, session, &member.receiver(), batch);
                tally.add(accepted);
                if accepted == Accepted::Yes {
                    break;
                }
            }
        }
        tally.reason()
    }

    fn deliver(
        &self,
        forward: &Forward<'_>,
        session: &Arc<Session>,
        receiver: &Receiver,
        batch: &mut Batch,
    ) -> Accepted {
        let retain = forward.retain && receiver.retain_as_published;
        let mut line = session.outbound.lock();
        let accepted = line.owed.deliver(
            forward,
            receiver,
            retain,
            forward.now(),
            &self.options,
            &self.counters,
        );
        if accepted == Accepted::Disconnect {
            let epoch = line.epoch;
            drop(line);
            let reason = ReasonCode::QuotaExceeded;
            session.close(epoch, Closing { reason, say: true, reset: false });
            return accepted;
        }
        if line.owed.is_connected() && line.schedule() {
            batch.touch(session);
        }
        if line.owed.is_congested(&self.options) && batch.congested.is_none() {
            batch.congested = Some(session.clone());
        }
        accepted
    }
}

/// How many took a message, and how many had no room for it.
#[derive(Default)]
struct Tally {
    taken: usize,
    full: usize,
}

impl Tally {
    fn add(&mut self, accepted: Accepted) {
        match accepted {
            Accepted::Yes => self.taken += 1,
            Accepted::Full | Accepted::Disconnect => self.full += 1,
            Accepted::Not => {}
        }
    }

    /// Never success for what was dropped by everyone (C14).
    fn reason(&self) -> ReasonCode {
        if self.taken == 0 && self.full > 0 {
            ReasonCode::QuotaExceeded
        } else {
            ReasonCode::Success
        }
    }
}
