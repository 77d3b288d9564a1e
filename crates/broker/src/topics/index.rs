//! The index of subscriptions: a tree of topic levels.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use latchlight_mqtt::{QoS, TopicFilter};
use parking_lot::RwLock;

use super::node::Node;
use super::{Levels, Route, SharedGroup};
use crate::inline_queue::InlineSink;
use crate::session_handle::Session;

/// All subscriptions. Readers take a read lock; what they found stays valid
/// until the generation changes, so that routes can be kept.
#[derive(Default)]
pub(crate) struct Index {
    root: RwLock<Node>,
    generation: AtomicU64,
}

/// A subscription as it stands in the index.
#[derive(Clone)]
pub(crate) struct Subscription {
    pub(crate) subscriber: Subscriber,
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) identifier: Option<NonZeroU32>,
}

/// Who gets the messages.
#[derive(Clone)]
pub(crate) enum Subscriber {
    Session(Arc<Session>),
    Inline(Arc<InlineSink>),
}

impl Subscriber {
    /// Whether messages go out at once.
    pub(super) fn is_connected(&self) -> bool {
        match self {
            Self::Session(session) => session.is_connected(),
            Self::Inline(_) => true,
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(a), Self::Session(b)) => Arc::ptr_eq(a, b),
            (Self::Inline(a), Self::Inline(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// Where a subscriber's subscription is among others.
pub(super) fn place_of(list: &[Subscription], subscriber: &Subscriber) -> Option<usize> {
    list.iter().position(|known| known.subscriber.is(subscriber))
}

/// The levels of a filter before a `#`, if there are any, and whether there is
/// one.
fn levels(filter: &str) -> (Option<&str>, bool) {
    match (filter, filter.strip_suffix("/#")) {
        ("#", _) => (None, true),
        (_, Some(levels)) => (Some(levels), true),
        (filter, None) => (Some(filter), false),
    }
}

impl Index {
    /// Changes with every subscription.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Adds a subscription, or replaces that of the same subscriber and
    /// filter [MQTT-3.8.4-3]; true if it is new.
    pub(crate) fn add(&self, filter: &TopicFilter, subscription: Subscription) -> bool {
        let mut root = self.root.write();
        let (levels, below) = levels(filter.filter());
        let added = root.reach(levels, |ends| match filter.shared() {
            Some(_) => ends.group(filter).add(subscription),
            None => ends.add(below, subscription),
        });
        self.generation.fetch_add(1, Ordering::Release);
        added
    }

    /// Removes a subscription; true if there was one.
    pub(crate) fn remove(&self, filter: &TopicFilter, subscriber: &Subscriber) -> bool {
        let mut root = self.root.write();
        let (levels, below) = levels(filter.filter());
        let removed = root.clear(levels, |ends| match filter.shared() {
            Some(_) => ends.leave(filter, subscriber),
            None => ends.remove(below, subscriber),
        });
        self.generation.fetch_add(1, Ordering::Release);
        removed.unwrap_or(false)
    }

    /// The members of a shared subscription; nothing: it has none.
    pub(crate) fn group(&self, filter: &TopicFilter) -> Option<Arc<SharedGroup>> {
        filter.shared()?;
        let root = self.root.read();
        let (levels, _) = levels(filter.filter());
        root.find(levels)?.find_group(filter).cloned()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.root.read().is_empty()
    }

    /// How many levels its filters have.
    #[cfg(feature = "testing")]
    pub(crate) fn levels(&self) -> usize {
        self.root.read().levels()
    }

    /// Who gets a message on this topic.
    pub(crate) fn route(&self, topic: &str) -> Route {
        let mut route = Route::new(topic, self.generation());
        let root = self.root.read();
        let levels: smallvec::SmallVec<[&str; 16]> = Levels::of(topic).collect();
        // [MQTT-4.7.2-1]
        let wild = !topic.starts_with('$');
        root.collect(&levels, wild, &mut route);
        route
    }
}
