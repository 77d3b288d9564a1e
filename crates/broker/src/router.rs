//! The way of a message from its publisher to everyone who gets it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use latchlight_mqtt::ReasonCode;
use rustc_hash::FxHashMap;

use crate::broker::Core;
use crate::delivery::Verdicts;
use crate::hooks::Notice;
use crate::inline_queue::InlineSink;
use crate::line::Closing;
use crate::message::{Forward, Message};
use crate::session::{Accepted, Receiver};
use crate::session_handle::Session;
use crate::tally::Tally;
use crate::topics::Route;
use crate::{ClientInfo, DropReason, InlineMessage, Stop};

/// How often a publisher that waits looks at whom it waits for.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// More levels than this are never taken, whatever the options say.
const LEVELS: usize = 1024;

/// How many routes a thread keeps.
const ROUTES: usize = 4096;

/// About how many bytes they take, all but the last: it forgets them and
/// begins anew.
const ROUTE_BYTES: usize = 16 * 1024 * 1024;

/// How much a route counts that is made, next to a message: the clock is
/// looked at.
const ROUTE_WORK: usize = 16;

/// How many receivers count as much as a message.
const RECEIVERS: usize = 8;

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

#[derive(Default)]
struct Cache {
    generation: u64,
    routes: FxHashMap<Box<str>, Arc<Route>>,
    bytes: usize,
}

impl Cache {
    fn clear(&mut self) {
        self.routes.clear();
        self.bytes = 0;
    }

    fn insert(&mut self, route: &Arc<Route>) {
        self.bytes += route.size() + route.topic.len();
        self.routes.insert((*route.topic).into(), route.clone());
    }
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
    slow: FxHashMap<u64, Arc<Session>>,
    slow_inline: Vec<(Arc<InlineSink>, Arc<ClientInfo>)>,
    /// What its packets have brought about is on disk after this commit.
    commit: Option<u64>,
    /// What its messages have cost next to the messages themselves, since this
    /// was looked at.
    pub(crate) work: usize,
}

impl Batch {
    /// The answers wait for this commit.
    pub(crate) fn acknowledge_after(&mut self, commit: u64) {
        self.commit = self.commit.max(Some(commit));
    }

    /// The commit that answers have to wait for, if any.
    pub(crate) fn take_commit(&mut self) -> Option<u64> {
        self.commit.take()
    }

    /// A session whose output has grown.
    pub(crate) fn touch(&mut self, session: &Arc<Session>) {
        self.touched.push(session.clone());
    }

    /// Writes everything out.
    pub(crate) fn flush(&mut self, core: &Core) {
        if self.touched.is_empty() {
            return;
        }
        let now = core.clock.now();
        for session in std::mem::take(&mut self.touched) {
            session.flush(now, &core.options, &core.counters);
        }
    }

    /// A session that has more to read than it should.
    fn is_slow(&mut self, session: &Arc<Session>) {
        self.slow.entry(session.number).or_insert_with(|| session.clone());
    }

    /// An inline subscription that has, of this publisher's.
    fn is_slow_inline(&mut self, sink: &Arc<InlineSink>, publisher: &Arc<ClientInfo>) {
        if !self.slow_inline.iter().any(|(known, _)| Arc::ptr_eq(known, sink)) {
            self.slow_inline.push((sink.clone(), publisher.clone()));
        }
    }

    /// The publisher has waited long enough for other clients. It waits on for
    /// inline subscriptions: their queues have no other bound.
    pub(crate) fn forget_slow(&mut self) {
        self.slow.clear();
    }

    /// Whether the publisher is to wait for a reader, of those that were met.
    pub(crate) fn is_congested(&mut self, core: &Core, publisher: &Session) -> bool {
        if self.slow.is_empty() && self.slow_inline.is_empty() {
            return false;
        }
        let (now, options) = (core.clock.now(), &core.options);
        let mut acknowledging = Vec::new();
        self.slow.retain(|number, session| {
            let mut line = session.outbound.lock();
            let is_worth = line.is_worth_waiting_for(now, options);
            if is_worth && !line.owed.is_output_full(options) {
                acknowledging.push(*number);
            }
            is_worth
        });
        for in_vain in core.pauses.begin(publisher.number, acknowledging) {
            self.slow.remove(&in_vain);
        }
        self.slow_inline.retain(|(sink, publisher)| sink.is_congested_by(publisher, options));
        !self.slow.is_empty() || !self.slow_inline.is_empty()
    }

    /// Waits until one of the slow readers may have caught up, or a little
    /// while, after which those that stalled are not waited for any more.
    pub(crate) async fn drained(&self) {
        let caught_up = async {
            match (self.slow.values().next(), self.slow_inline.first()) {
                (Some(session), _) => session.drained.notified().await,
                (None, Some((sink, _))) => sink.drained().await,
                (None, None) => {}
            }
        };
        let _ = tokio::time::timeout(LOOK_AGAIN, caught_up).await;
    }
}

/// Empties this thread's cache: another broker is to use the thread.
#[cfg(feature = "testing")]
pub(crate) fn forget_routes() {
    CACHE.take();
}

impl Core {
    /// The route of a topic, from the thread's cache where it is good still.
    pub(crate) fn cached_route(&self, topic: &str, batch: &mut Batch) -> Arc<Route> {
        CACHE.with(|cache| {
            let mut cache = cache.borrow_mut();
            let generation = self.index.generation();
            let is_full = cache.routes.len() >= ROUTES || cache.bytes >= ROUTE_BYTES;
            if cache.generation != generation || is_full {
                cache.clear();
                cache.generation = generation;
            }
            if let Some(route) = cache.routes.get(topic) {
                return route.clone();
            }
            batch.work += ROUTE_WORK;
            let route = Arc::new(self.index.route(topic));
            // The index may have changed since: such a route is not kept.
            if route.generation == generation && self.index.generation() == generation {
                cache.insert(&route);
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
        let info = publisher.map(|publisher| publisher.info);
        if forward.retain && !self.retain(forward, info, batch) {
            self.counters.retained_refused.one();
            self.note_dropped(forward, DropReason::RetainedFull);
            return ReasonCode::QuotaExceeded;
        }
        if forward.is_expired() {
            self.counters.dropped_expired.one();
            self.note_dropped(forward, DropReason::Expired);
            return ReasonCode::Success;
        }
        let reason = self.distribute(forward, route, publisher, dup, batch);
        if self.hooks.wants.messages && !reason.is_error() {
            self.hooks.note(info, Notice::Published(forward.keep()));
        }
        reason
    }

    pub(crate) fn note_dropped(&self, forward: &Forward<'_>, reason: DropReason) {
        if self.hooks.wants.messages {
            self.hooks.note(None, Notice::PublishDropped(forward.keep(), reason));
        }
    }

    /// A subscription of this process does not get a message.
    fn note_dropped_inline(&self, message: impl FnOnce() -> Arc<Message>) {
        if self.hooks.wants.messages {
            self.hooks.note(None, Notice::PublishDropped(message(), DropReason::InlineFull));
        }
    }

    /// Gives a message to those on its route.
    pub(crate) fn distribute(
        &self,
        forward: &Forward<'_>,
        route: &Route,
        publisher: Option<Publisher<'_>>,
        dup: bool,
        batch: &mut Batch,
    ) -> ReasonCode {
        if route.is_empty() {
            self.counters.messages_unmatched.one();
            return ReasonCode::NoMatchingSubscribers;
        }
        let mut tally = Tally::default();
        if self.hooks.steps.select_subscribers {
            let Ok(selected) = self.select(forward, route, publisher) else {
                return ReasonCode::UnspecifiedError;
            };
            self.deliver_to_selected(forward, &route.verdicts, selected, batch, &mut tally);
        } else {
            self.deliver_to_all(forward, route, publisher, batch, &mut tally);
        }
        for (sink, retain_as_published) in &route.inline {
            let info = publisher.map(|p| p.info);
            let message = InlineMessage::of(forward, *retain_as_published, dup, info);
            let note = |older: InlineMessage| self.note_dropped_inline(|| older.into_message());
            let accepted = sink.push(message, &self.options, &self.counters, note);
            if accepted.refused().is_some() {
                self.note_dropped_inline(|| forward.keep());
            }
            tally.add(accepted);
            if let Some(publisher) = publisher
                && sink.is_congested_by(publisher.info, &self.options)
            {
                batch.is_slow_inline(sink, publisher.info);
            }
        }
        tally.reason()
    }

    fn deliver_to_all(
        &self,
        forward: &Forward<'_>,
        route: &Route,
        publisher: Option<Publisher<'_>>,
        batch: &mut Batch,
        tally: &mut Tally,
    ) {
        batch.work += (route.sessions.len() + route.groups.len()) / RECEIVERS;
        for target in &route.sessions {
            if let Some(receiver) = target.receiver_of(publisher.map(|p| p.session)) {
                let session = &target.session;
                tally.add(self.deliver(forward, &route.verdicts, session, receiver, batch));
            }
        }
        for group in &route.groups {
            self.deliver_to_one(forward, group, &route.verdicts, batch, tally);
        }
    }

    /// Counts and tells what an interceptor has stopped.
    pub(crate) fn note_stopped(&self, message: Arc<Message>, stop: Stop) {
        self.counters.publishes_refused.one();
        if self.hooks.wants.messages {
            let reason = stop.reason().map_or(DropReason::Intercepted, DropReason::Refused);
            self.hooks.note(None, Notice::PublishDropped(message, reason));
        }
    }

    pub(crate) fn deliver(
        &self,
        forward: &Forward<'_>,
        verdicts: &Verdicts,
        session: &Arc<Session>,
        receiver: &Receiver,
        batch: &mut Batch,
    ) -> Accepted {
        let retain = forward.retain && receiver.retain_as_published;
        let Some(mut line) = self.line_for(session, forward.topic(), verdicts) else {
            return Accepted::Not(None);
        };
        let accepted = line.owed.deliver(forward, receiver, retain, &self.options, &self.counters);
        if let Accepted::Yes(Some(commit)) = accepted {
            batch.acknowledge_after(commit);
        }
        if accepted == Accepted::Disconnect {
            // More may come before its task has closed it.
            self.counters.queue_full_closed.add_some(u64::from(line.closing.is_none()));
            let reason = ReasonCode::QuotaExceeded;
            line.close(Closing { reason, say: true, reset: false });
            return accepted;
        }
        if line.owed.is_connected() && line.schedule() {
            batch.touch(session);
        }
        if line.is_worth_waiting_for(forward.now(), &self.options) {
            batch.is_slow(session);
        }
        accepted
    }

    /// Checks a topic name or filter against the limit of levels, which also
    /// keeps the walks through the trees of topics short.
    pub(crate) fn check_topic(&self, topic: &str) -> Result<(), ReasonCode> {
        let most = self.options.max_topic_levels.min(LEVELS);
        // It cannot have more slashes than bytes.
        if topic.len() < most {
            return Ok(());
        }
        let levels = topic.bytes().filter(|byte| *byte == b'/').count() + 1;
        if levels > most { Err(ReasonCode::TopicNameInvalid) } else { Ok(()) }
    }
}
