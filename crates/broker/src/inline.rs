//! The client inside the process: no socket, no access checks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use latchlight_mqtt::{
    InvalidTopic, Properties, QoS, ReasonCode, RetainHandling, SubscriptionOptions, TopicFilter,
    TopicName,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::broker::Core;
use crate::delivery::Verdicts;
use crate::inline_queue::InlineSink;
use crate::live::Ticket;
use crate::message::{Forward, Message};
use crate::topics::{Subscriber, Subscription, Target};
use crate::{ClientInfo, LivePublish, Publication, Stop, Time};

/// Publishes and subscribes from the same process; cheap to clone.
#[derive(Clone)]
pub struct InlineClient {
    core: Arc<Core>,
}

/// A message to publish.
#[derive(Debug, Clone)]
pub struct InlinePublish {
    /// Where.
    pub topic: TopicName,
    /// What.
    pub payload: Bytes,
    /// How often.
    pub qos: QoS,
    /// Whether it is to be kept.
    pub retain: bool,
    /// MQTT 5; an expiry counts from now.
    pub properties: Properties,
}

/// A message that came to an inline subscription.
#[derive(Debug, Clone)]
pub struct InlineMessage {
    /// Where it was published.
    pub topic: ByteString,
    /// What.
    pub payload: Bytes,
    /// How it was published.
    pub qos: QoS,
    /// It was kept, or (with Retain As Published) was published to be.
    pub retain: bool,
    /// It may have been published before.
    pub dup: bool,
    /// MQTT 5.
    pub properties: Properties,
    /// Who published it; nobody for wills and messages of this process.
    pub publisher: Option<Arc<ClientInfo>>,
}

/// Receives the messages of its [`filters`](Self::filters): each once, and
/// those of one publisher in the order in which it sent them, whichever
/// filter they match. Dropping it unsubscribes.
pub struct InlineSubscription {
    filters: InlineFilters,
}

/// The filters of an [`InlineSubscription`], to be changed while it receives;
/// cheap to clone.
#[derive(Clone)]
pub struct InlineFilters {
    core: Arc<Core>,
    sink: Arc<InlineSink>,
    current: Arc<Mutex<Vec<TopicFilter>>>,
}

impl InlinePublish {
    /// A message of QoS 1 that is not kept.
    pub fn new(topic: TopicName, payload: impl Into<Bytes>) -> Self {
        Self {
            topic,
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: Properties::new(),
        }
    }
}

impl InlineClient {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Publishes a message; gives what a PUBACK would say. Interceptors may
    /// change or stop it. What is to be kept
    /// is, also where clients have filled the bounds for retained messages: an
    /// older message would be a wrong one.
    pub fn publish(&self, publish: InlinePublish) -> ReasonCode {
        // What a client could not send, the process does not either.
        let size = publish.topic.as_str().len() + publish.payload.len();
        if size > self.core.options.max_packet_size as usize {
            return ReasonCode::PacketTooLarge;
        }
        if let Err(reason) = self.core.check_topic(publish.topic.as_str()) {
            return reason;
        }
        let now = self.core.clock.now();
        let message = match self.intercept(publish, now) {
            Ok(message) => message,
            Err(reason) => {
                self.core.hooks.tell();
                return reason;
            }
        };
        let mut forward = Forward::of_message(&message, now);
        forward.is_own = true;
        self.core.counters.messages_inline.one();
        let reason = self.core.publish_and_flush(&forward, None, false);
        self.core.hooks.tell();
        reason
    }

    /// The message as it is published.
    ///
    /// # Errors
    /// A hook has stopped it; what is said for that.
    fn intercept(&self, publish: InlinePublish, now: Time) -> Result<Arc<Message>, ReasonCode> {
        let core = &self.core;
        if !core.hooks.steps.publish {
            return Ok(message(publish, now));
        }
        let InlinePublish { topic, payload, qos, retain, properties } = publish;
        let mut publication = Publication { topic, payload, qos, retain, properties };
        let stopped = match core.hooks.publish(None, &mut publication) {
            Ok(()) => publication.check(core).err().map(Stop::Refuse),
            Err(stop) => Some(stop),
        };
        let message = Arc::new(publication.into_message(now));
        match stopped {
            None => Ok(message),
            Some(stop) => {
                core.note_stopped(message, stop);
                Err(stop.reason().unwrap_or(ReasonCode::Success))
            }
        }
    }

    /// Publishes to the sessions that are connected now and subscribed, and
    /// to no others: never queued, never sent again. A receiver that does not
    /// acknowledge until `lifetime` is over has its connection reset, before
    /// that is told, so that nothing arrives later.
    ///
    /// It is no retained message, whatever `publish` says; inline and shared
    /// subscriptions do not get it.
    pub fn publish_live(&self, mut publish: InlinePublish, lifetime: Duration) -> LivePublish {
        publish.retain = false;
        let now = self.core.clock.now();
        let lifetime_ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let deadline = now.saturating_add(lifetime_ms);
        let seconds = u32::try_from(lifetime_ms.div_ceil(1000)).unwrap_or(u32::MAX);
        publish.properties.make_mut().message_expiry_interval = Some(seconds);
        let message = message(publish, now);
        let route = self.core.index.route(&message.topic);
        let (sender, events) = mpsc::unbounded_channel();
        let mut tickets = Vec::new();
        for target in &route.sessions {
            let ticket = self.launch(target, &route.verdicts, &message, deadline, &sender);
            tickets.extend(ticket);
        }
        self.core.hooks.tell();
        LivePublish::new(tickets, events)
    }

    fn launch(
        &self,
        target: &Target,
        verdicts: &Verdicts,
        message: &Arc<Message>,
        deadline: u64,
        events: &mpsc::UnboundedSender<crate::LiveEvent>,
    ) -> Option<Arc<Ticket>> {
        let core = &self.core;
        let session = &target.session;
        let now = core.clock.now();
        let (ticket, epoch) = {
            let mut line = core.line_for(session, &message.topic, verdicts)?;
            let info = line.info.clone().filter(|_| line.owed.is_connected())?;
            let ticket = Ticket::new(info, events.clone());
            let options = &core.options;
            line.guard();
            line.owed.deliver_live(message, &target.receiver, &ticket, deadline, now, options);
            (ticket, line.epoch)
        };
        session.flush(now, &core.options, &core.counters);
        core.watch_live(ticket.clone(), session.clone(), epoch, deadline);
        Some(ticket)
    }

    /// Subscribes to a filter; shared subscriptions are not for inline clients.
    ///
    /// # Errors
    /// The filter is shared, or has too many levels.
    pub fn subscribe(
        &self,
        filter: TopicFilter,
        options: SubscriptionOptions,
    ) -> Result<InlineSubscription, InvalidTopic> {
        self.subscribe_all([filter], options)
    }

    /// Subscribes to several filters, whose messages come as one stream.
    ///
    /// # Errors
    /// One of them is shared, or has too many levels.
    pub fn subscribe_all(
        &self,
        filters: impl IntoIterator<Item = TopicFilter>,
        options: SubscriptionOptions,
    ) -> Result<InlineSubscription, InvalidTopic> {
        let (core, sink, current) = (self.core.clone(), Arc::default(), Arc::default());
        let subscription = InlineSubscription { filters: InlineFilters { core, sink, current } };
        for filter in filters {
            subscription.filters.add(filter, options)?;
        }
        Ok(subscription)
    }
}

fn message(publish: InlinePublish, now: u64) -> Arc<Message> {
    let InlinePublish { topic, payload, qos, retain, properties } = publish;
    Arc::new(Publication { topic, payload, qos, retain, properties }.into_message(now))
}

impl InlineMessage {
    pub(crate) fn of(
        forward: &Forward<'_>,
        retain_as_published: bool,
        dup: bool,
        publisher: Option<&Arc<ClientInfo>>,
    ) -> Self {
        Self {
            topic: forward.topic().clone(),
            payload: forward.shared_payload(),
            qos: forward.qos,
            retain: forward.retain && retain_as_published,
            dup,
            properties: forward.properties(),
            publisher: publisher.cloned(),
        }
    }

    /// What was published, to be told of.
    pub(crate) fn into_message(self) -> Arc<Message> {
        let Self { topic, payload, qos, retain, properties, .. } = self;
        Arc::new(Message { topic, payload, qos, retain, properties, expires_at: None })
    }

    fn of_retained(message: &Message) -> Self {
        Self {
            topic: message.topic.clone(),
            payload: message.payload.clone(),
            qos: message.qos,
            retain: true,
            dup: false,
            properties: message.properties.clone(),
            publisher: None,
        }
    }
}

impl InlineSubscription {
    /// The next message; nothing when the broker is gone.
    pub async fn next(&mut self) -> Option<InlineMessage> {
        let InlineFilters { core, sink, .. } = &self.filters;
        loop {
            if let Some(message) = sink.pop(&core.options) {
                return Some(message);
            }
            tokio::select! {
                biased;
                () = sink.came() => {}
                () = core.stop.cancelled() => return None,
            }
        }
    }

    /// Its filters.
    pub fn filters(&self) -> &InlineFilters {
        &self.filters
    }
}

impl Drop for InlineSubscription {
    fn drop(&mut self) {
        self.filters.end();
    }
}

impl InlineFilters {
    /// Subscribes to one more filter, or anew with other options. When the
    /// subscription has been dropped, nothing happens.
    ///
    /// # Errors
    /// The filter is shared, or has too many levels.
    pub fn add(
        &self,
        filter: TopicFilter,
        options: SubscriptionOptions,
    ) -> Result<(), InvalidTopic> {
        let Self { core, sink, current } = self;
        if filter.shared().is_some() {
            return Err(InvalidTopic::Share);
        }
        if core.check_topic(filter.filter()).is_err() {
            return Err(InvalidTopic::TooLong);
        }
        let mut current = current.lock();
        if sink.is_closed() {
            return Ok(());
        }
        let subscription = Subscription {
            subscriber: Subscriber::Inline(sink.clone()),
            qos: options.qos,
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            identifier: None,
        };
        let is_new = core.index.add(&filter, subscription);
        let wants_retained = match options.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        if wants_retained {
            let now = core.clock.now();
            // Locked until they are in, so that no newer one gets before them.
            let retained = core.shelf(filter.filter()).lock();
            for message in retained.matching(filter.filter(), now) {
                sink.push_retained(InlineMessage::of_retained(&message));
            }
        }
        if is_new {
            current.push(filter);
        }
        Ok(())
    }

    /// Unsubscribes from all of them, for good.
    pub(crate) fn end(&self) {
        let Self { core, sink, current } = self;
        // First, so that nothing is added behind the removal.
        sink.close();
        for filter in current.lock().drain(..) {
            core.index.remove(&filter, &Subscriber::Inline(sink.clone()));
        }
    }

    /// Unsubscribes from a filter; false if it was none of these.
    pub fn remove(&self, filter: &TopicFilter) -> bool {
        let mut current = self.current.lock();
        current.retain(|known| known != filter);
        self.core.index.remove(filter, &Subscriber::Inline(self.sink.clone()))
    }
}
