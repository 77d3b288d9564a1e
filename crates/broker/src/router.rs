//! The way of a message from its publisher to everyone who gets it.

use std::sync::Arc;

use latchlight_mqtt::ReasonCode;
use parking_lot::MutexGuard;

use crate::batch::{Batch, Then};
use crate::broker::Core;
use crate::delivery::Verdicts;
use crate::hooks::Notice;
use crate::line::{Closing, Line};
use crate::message::{Forward, Message};
use crate::session::{Accepted, Receiver};
use crate::session_handle::Session;
use crate::tally::{Outcome, Tally};
use crate::topics::{Route, RouteCache};
use crate::{ClientInfo, DropReason, InlineMessage, Stop, Time};

/// More levels than this are never taken, whatever the options say.
const LEVELS: usize = 1024;

/// How much a route counts that is made, next to a message: the clock is
/// looked at.
const ROUTE_WORK: usize = 16;

/// How many receivers count as much as a message.
pub(crate) const RECEIVERS: usize = 8;

/// Who publishes.
#[derive(Clone, Copy)]
pub(crate) struct Publisher<'a> {
    pub(crate) session: &'a Arc<Session>,
    pub(crate) info: &'a Arc<ClientInfo>,
}

impl Core {
    /// The route of a topic, from the thread's cache where it is good still.
    pub(crate) fn cached_route(&self, topic: &str, batch: &mut Batch) -> Arc<Route> {
        RouteCache::of_this_thread(|cache| {
            cache.route(&self.index, topic, || batch.work += ROUTE_WORK)
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
        let outcome = self.publish(forward, &route, publisher, dup, &mut batch);
        batch.flush(self);
        outcome.reason
    }

    /// Gives a message to everyone who gets it.
    pub(crate) fn publish(
        &self,
        forward: &Forward<'_>,
        route: &Route,
        publisher: Option<Publisher<'_>>,
        dup: bool,
        batch: &mut Batch,
    ) -> Outcome {
        let info = publisher.map(|publisher| publisher.info);
        if forward.retain
            && let Err(refused) = self.retain(forward, info, batch)
        {
            return refused;
        }
        if forward.is_expired() {
            self.counters.dropped_expired.one();
            self.note_dropped(forward, DropReason::Expired);
            return ReasonCode::Success.into();
        }
        let outcome = self.distribute(forward, route, publisher, dup, batch);
        if self.hooks.wants.messages && !outcome.reason.is_error() {
            self.hooks.note(info, Notice::Published(forward.keep()));
        }
        outcome
    }

    /// Refuses a message that the store would have to write, and cannot.
    pub(crate) fn refuse_for_store(&self, forward: &Forward<'_>) -> Outcome {
        self.counters.store_refused.one();
        self.note_dropped(forward, DropReason::StoreFull);
        Outcome { reason: ReasonCode::QuotaExceeded, store_is_full: true }
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
    ) -> Outcome {
        if route.is_empty() {
            self.counters.messages_unmatched.one();
            return ReasonCode::NoMatchingSubscribers.into();
        }
        let mut tally = Tally::default();
        if self.hooks.steps.select_subscribers {
            let Ok(selected) = self.select(forward, route, publisher) else {
                return ReasonCode::UnspecifiedError.into();
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
        tally.outcome()
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
        let Some(mut line) = self.line_for(session, forward.topic(), verdicts) else {
            return Accepted::Not(None);
        };
        let accepted = self.deliver_on(&mut line, forward, receiver, batch);
        if accepted == Accepted::Disconnect {
            return accepted;
        }
        self.see_to(line, session, forward.now(), batch, Then::Touch);
        accepted
    }

    /// Sees to it that what a session was given is written, and that the
    /// publisher waits for it, where it is slow.
    #[inline]
    pub(crate) fn see_to(
        &self,
        mut line: MutexGuard<'_, Line>,
        session: &Arc<Session>,
        now: Time,
        batch: &mut Batch,
        then: Then,
    ) {
        let mut has_caught_up = false;
        if line.owed.is_connected() && line.schedule() {
            match then {
                Then::Write => has_caught_up = line.flush(now, &self.options, &self.counters),
                Then::Touch => batch.touch(session),
            }
        }
        if line.is_worth_waiting_for(now, &self.options) {
            batch.is_slow(session);
        }
        drop(line);
        if has_caught_up {
            session.note_drained();
        }
    }

    /// Gives a message to a session that is locked.
    pub(crate) fn deliver_on(
        &self,
        line: &mut Line,
        forward: &Forward<'_>,
        receiver: &Receiver,
        batch: &mut Batch,
    ) -> Accepted {
        let retain = forward.retain && receiver.retain_as_published;
        let accepted = line.owed.deliver(forward, receiver, retain, &self.options, &self.counters);
        if let Accepted::Yes(Some(commit)) = accepted {
            batch.acknowledge_after(commit);
        }
        if accepted == Accepted::Disconnect {
            // More may come before its task has closed it.
            self.counters.queue_full_closed.add_some(u64::from(line.closing.is_none()));
            let reason = ReasonCode::QuotaExceeded;
            line.close(Closing { reason, say: true, reset: false });
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
