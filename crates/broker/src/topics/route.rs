//! Where a message on one topic goes.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytestring::ByteString;
use smallvec::SmallVec;

use super::{SharedGroup, Subscriber, Subscription};
use crate::delivery::Verdicts;
use crate::inline_queue::InlineSink;
use crate::session::Receiver;
use crate::session_handle::Session;

/// Everyone who gets the messages of one topic; good until the index changes.
pub(crate) struct Route {
    pub(crate) topic: ByteString,
    pub(crate) generation: u64,
    // Most topics are heard by one.
    pub(crate) sessions: SmallVec<[Target; 1]>,
    pub(crate) inline: Vec<(Arc<InlineSink>, bool)>,
    pub(crate) groups: Vec<Arc<SharedGroup>>,
    /// Who of them may receive the messages, where that is asked.
    pub(crate) verdicts: Verdicts,
    /// Messages of QoS 1 that came together went so to nearly all.
    pub(crate) goes_together: AtomicBool,
}

/// One session, with all its subscriptions that match made into one: a
/// message is delivered once, at the highest QoS, with all identifiers
/// [MQTT-3.3.4-2], [MQTT-3.3.4-3].
pub(crate) struct Target {
    pub(crate) session: Arc<Session>,
    pub(crate) receiver: Receiver,
    /// The same without the subscriptions that want nothing of the session's
    /// own; where there are such.
    pub(crate) own: Option<Box<Option<Receiver>>>,
}

impl Target {
    /// How this session gets a message of `publisher`, if at all.
    pub(crate) fn receiver_of(&self, publisher: Option<&Arc<Session>>) -> Option<&Receiver> {
        // [MQTT-3.8.3-3] goes by client ids.
        let is_own = |publisher: &Arc<Session>| publisher.client_id == self.session.client_id;
        match &self.own {
            Some(own) if publisher.is_some_and(is_own) => (**own).as_ref(),
            _ => Some(&self.receiver),
        }
    }
}

impl Route {
    pub(crate) fn new(topic: &str, generation: u64) -> Self {
        Self {
            topic: topic.into(),
            generation,
            sessions: SmallVec::new(),
            inline: Vec::new(),
            groups: Vec::new(),
            verdicts: Verdicts::default(),
            goes_together: AtomicBool::new(false),
        }
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let of_receiver = |target: &Target| size_of_val(&*target.receiver.identifiers);
        size_of::<Self>()
            + self.topic.len()
            // With what is known of who may receive it.
            + self.sessions.len() * 2 * size_of::<Target>()
            + self.sessions.iter().map(of_receiver).sum::<usize>()
            + size_of_val(&*self.inline)
            + size_of_val(&*self.groups)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.inline.is_empty() && self.groups.is_empty()
    }

    pub(crate) fn add(&mut self, subscription: &Subscription) {
        match &subscription.subscriber {
            Subscriber::Session(session) => self.add_session(session, subscription),
            Subscriber::Inline(sink) => self.add_inline(sink, subscription),
        }
    }

    fn add_inline(&mut self, sink: &Arc<InlineSink>, subscription: &Subscription) {
        let known = self.inline.iter_mut().find(|(known, _)| Arc::ptr_eq(known, sink));
        match known {
            Some((_, as_published)) => *as_published |= subscription.retain_as_published,
            None => self.inline.push((sink.clone(), subscription.retain_as_published)),
        }
    }

    fn add_session(&mut self, session: &Arc<Session>, subscription: &Subscription) {
        // A session with one subscription cannot be here already; the others
        // are looked for one by one, for routes are made seldom.
        let at = if session.has_many_subscriptions() {
            self.sessions.iter().position(|target| Arc::ptr_eq(&target.session, session))
        } else {
            None
        };
        let target = match at {
            Some(at) => &mut self.sessions[at],
            None => {
                self.sessions.push(Target {
                    session: session.clone(),
                    receiver: receiver(subscription),
                    own: subscription.no_local.then(Box::default),
                });
                return;
            }
        };
        if subscription.no_local {
            target.own.get_or_insert_with(|| Box::new(Some(target.receiver.clone())));
        } else if let Some(own) = &mut target.own {
            match &mut **own {
                Some(own) => merge(own, subscription),
                none => *none = Some(receiver(subscription)),
            }
        }
        merge(&mut target.receiver, subscription);
    }
}

fn receiver(subscription: &Subscription) -> Receiver {
    Receiver {
        qos: subscription.qos,
        retain_as_published: subscription.retain_as_published,
        identifiers: subscription.identifier.into_iter().map(NonZeroU32::get).collect(),
        share: None,
    }
}

fn merge(receiver: &mut Receiver, subscription: &Subscription) {
    receiver.qos = receiver.qos.max(subscription.qos);
    receiver.retain_as_published |= subscription.retain_as_published;
    receiver.identifiers.extend(subscription.identifier.map(NonZeroU32::get));
}

impl Subscription {
    /// How the subscriber gets a message for this subscription alone.
    pub(crate) fn receiver(&self) -> Receiver {
        receiver(self)
    }
}
