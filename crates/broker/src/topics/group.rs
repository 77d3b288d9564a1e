//! Shared subscriptions: a message goes to one of those who share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use latchlight_mqtt::TopicFilter;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::index::{self, Subscriber, Subscription};

/// The members of one shared subscription to one filter.
pub(crate) struct SharedGroup {
    /// Name and filter, as a client says them.
    filter: Arc<str>,
    members: Mutex<SmallVec<[Subscription; 1]>>,
    next: AtomicUsize,
}

impl SharedGroup {
    pub(super) fn new(filter: &TopicFilter) -> Arc<Self> {
        let (filter, next) = (filter.as_str().into(), AtomicUsize::new(0));
        Arc::new(Self { filter, members: Mutex::default(), next })
    }

    /// Name and filter, as a client says them.
    pub(crate) fn filter(&self) -> &Arc<str> {
        &self.filter
    }

    /// Whether the filter ends in `#`.
    pub(super) fn is_below(&self) -> bool {
        self.filter.ends_with('#')
    }

    pub(super) fn add(&self, subscription: Subscription) -> bool {
        let mut members = self.members.lock();
        let known = index::place_of(&members, &subscription.subscriber);
        match known {
            Some(at) => members[at] = subscription,
            None => members.push(subscription),
        }
        known.is_none()
    }

    /// Whether it was one of them, and whether none is left.
    pub(super) fn remove(&self, subscriber: &Subscriber) -> (bool, bool) {
        let mut members = self.members.lock();
        let known = index::place_of(&members, subscriber);
        known.map(|at| members.remove(at));
        if members.len() < members.capacity() / 4 {
            members.shrink_to_fit();
        }
        (known.is_some(), members.is_empty())
    }

    /// The members, beginning with the one whose turn it is: the message goes
    /// to the first who takes it. Who is connected comes first; an offline
    /// one takes it only if none is. Mostly the first one does, so that the
    /// others are gone through only then.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = Subscription> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let first = self.first(turn);
        let known = first.as_ref().map(|first| first.subscriber.clone());
        let is_other = move |member: &Subscription| {
            known.as_ref().is_none_or(|known| !known.is(&member.subscriber))
        };
        let others = move || self.all(turn).into_iter().filter(is_other);
        first.into_iter().chain(std::iter::once_with(others).flatten())
    }

    fn first(&self, turn: usize) -> Option<Subscription> {
        let members = self.members.lock();
        let connected = || members.iter().filter(|member| member.subscriber.is_connected());
        match connected().count() {
            0 => members.get(turn % members.len().max(1)).cloned(),
            count => connected().nth(turn % count).cloned(),
        }
    }

    fn all(&self, turn: usize) -> Vec<Subscription> {
        let is_connected = |member: &Subscription| member.subscriber.is_connected();
        let (mut connected, mut offline): (Vec<_>, Vec<_>) =
            self.members.lock().iter().cloned().partition(is_connected);
        for members in [&mut connected, &mut offline] {
            let count = members.len().max(1);
            members.rotate_left(turn % count);
        }
        connected.append(&mut offline);
        connected
    }
}
