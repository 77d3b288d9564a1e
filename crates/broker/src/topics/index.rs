//! The index of subscriptions: a tree of topic levels.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use latchlight_mqtt::{QoS, TopicFilter};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use super::Route;
use crate::inline_queue::InlineSink;
use crate::session_handle::Session;

/// All subscriptions. Readers take a read lock; what they found stays valid
/// until the generation changes, so that routes can be kept.
#[derive(Default)]
pub(crate) struct Index {
    root: RwLock<Node>,
    generation: AtomicU64,
}

/// One level of topic filters.
#[derive(Default)]
struct Node {
    children: FxHashMap<Box<str>, Node>,
    plus: Option<Box<Node>>,
    /// Filters that end here.
    here: Vec<Subscription>,
    /// Filters that end in `#` here.
    below: Vec<Subscription>,
    shared: Vec<Arc<SharedGroup>>,
}

/// The members of one shared subscription to one filter.
pub(crate) struct SharedGroup {
    name: Box<str>,
    /// Name and filter, as a client says them.
    filter: Arc<str>,
    below: bool,
    members: Mutex<Vec<Subscription>>,
    next: AtomicUsize,
}

/// A subscription as it stands in the index.
#[derive(Clone)]
pub(crate) struct Subscription {
    pub(crate) subscriber: Subscriber,
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) identifier: Option<u32>,
}

/// Who gets the messages.
#[derive(Clone)]
pub(crate) enum Subscriber {
    Session(Arc<Session>),
    Inline(Arc<InlineSink>),
}

impl Subscriber {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(a), Self::Session(b)) => Arc::ptr_eq(a, b),
            (Self::Inline(a), Self::Inline(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
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
        let (node, below) = root.reach(filter.filter());
        let added = match filter.shared() {
            Some((name, _)) => node.group(name, filter, below).add(subscription),
            None => put(if below { &mut node.below } else { &mut node.here }, subscription),
        };
        self.generation.fetch_add(1, Ordering::Release);
        added
    }

    /// Removes a subscription; true if there was one.
    pub(crate) fn remove(&self, filter: &TopicFilter, subscriber: &Subscriber) -> bool {
        let mut root = self.root.write();
        let share = filter.shared().map(|(name, _)| name);
        let removed = root.remove(&mut filter.filter().split('/'), share, subscriber);
        self.generation.fetch_add(1, Ordering::Release);
        removed
    }

    /// The members of a shared subscription; nothing: it has none.
    pub(crate) fn group(&self, filter: &TopicFilter) -> Option<Arc<SharedGroup>> {
        let (name, filter) = filter.shared()?;
        let root = self.root.read();
        let mut node = &*root;
        let mut below = false;
        for level in filter.split('/') {
            node = match level {
                "#" => {
                    below = true;
                    break;
                }
                "+" => node.plus.as_deref()?,
                level => node.children.get(level)?,
            };
        }
        node.find_group(name, below).cloned()
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
        let levels: smallvec::SmallVec<[&str; 16]> = topic.split('/').collect();
        // [MQTT-4.7.2-1]
        let wild = !topic.starts_with('$');
        root.collect(&levels, wild, &mut route);
        route
    }
}

impl Node {
    /// The node at which a filter ends, and whether it ends in `#`.
    fn reach(&mut self, filter: &str) -> (&mut Self, bool) {
        let mut node = self;
        for level in filter.split('/') {
            node = match level {
                "#" => return (node, true),
                "+" => node.plus.get_or_insert_default(),
                level => node.children.entry(level.into()).or_default(),
            };
        }
        (node, false)
    }

    fn group(&mut self, name: &str, filter: &TopicFilter, below: bool) -> Arc<SharedGroup> {
        if let Some(group) = self.find_group(name, below) {
            return group.clone();
        }
        let group = Arc::new(SharedGroup {
            name: name.into(),
            filter: filter.as_str().into(),
            below,
            members: Mutex::default(),
            next: AtomicUsize::new(0),
        });
        self.shared.push(group.clone());
        group
    }

    fn find_group(&self, name: &str, below: bool) -> Option<&Arc<SharedGroup>> {
        self.shared.iter().find(|group| &*group.name == name && group.below == below)
    }

    fn remove<'a>(
        &mut self,
        levels: &mut impl Iterator<Item = &'a str>,
        share: Option<&str>,
        subscriber: &Subscriber,
    ) -> bool {
        match levels.next() {
            None => self.take_out(false, share, subscriber),
            Some("#") => self.take_out(true, share, subscriber),
            Some("+") => {
                let Some(plus) = &mut self.plus else { return false };
                let removed = plus.remove(levels, share, subscriber);
                if plus.is_empty() {
                    self.plus = None;
                }
                removed
            }
            Some(level) => {
                let Some(child) = self.children.get_mut(level) else { return false };
                let removed = child.remove(levels, share, subscriber);
                if child.is_empty() {
                    self.children.remove(level);
                    if self.children.is_empty() {
                        self.children = FxHashMap::default();
                    }
                }
                removed
            }
        }
    }

    fn take_out(&mut self, below: bool, share: Option<&str>, subscriber: &Subscriber) -> bool {
        let Some(name) = share else {
            let list = if below { &mut self.below } else { &mut self.here };
            return remove(list, subscriber);
        };
        let fits = |group: &Arc<SharedGroup>| &*group.name == name && group.below == below;
        let Some(at) = self.shared.iter().position(fits) else { return false };
        let mut members = self.shared[at].members.lock();
        let removed = remove(&mut members, subscriber);
        let empty = members.is_empty();
        drop(members);
        if empty {
            self.shared.remove(at);
        }
        removed
    }

    #[cfg(feature = "testing")]
    fn levels(&self) -> usize {
        let below = self.children.values().chain(self.plus.as_deref());
        below.map(|node| 1 + node.levels()).sum()
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.plus.is_none()
            && self.here.is_empty()
            && self.below.is_empty()
            && self.shared.is_empty()
    }

    fn collect(&self, levels: &[&str], wild: bool, route: &mut Route) {
        if wild {
            route.add_all(&self.below);
            route.add_groups(self.shared.iter().filter(|group| group.below));
        }
        let Some((level, rest)) = levels.split_first() else {
            route.add_all(&self.here);
            route.add_groups(self.shared.iter().filter(|group| !group.below));
            return;
        };
        if let Some(child) = self.children.get(*level) {
            child.collect(rest, true, route);
        }
        if let Some(plus) = self.plus.as_ref().filter(|_| wild) {
            plus.collect(rest, true, route);
        }
    }
}

fn put(list: &mut Vec<Subscription>, subscription: Subscription) -> bool {
    match list.iter_mut().find(|known| known.subscriber.is(&subscription.subscriber)) {
        Some(known) => {
            *known = subscription;
            false
        }
        None => {
            // Most filters have one subscriber.
            if list.is_empty() {
                list.reserve_exact(1);
            }
            list.push(subscription);
            true
        }
    }
}

fn remove(list: &mut Vec<Subscription>, subscriber: &Subscriber) -> bool {
    let before = list.len();
    list.retain(|known| !known.subscriber.is(subscriber));
    if list.is_empty() {
        *list = Vec::new();
    }
    list.len() < before
}

impl SharedGroup {
    /// Name and filter, as a client says them.
    pub(crate) fn filter(&self) -> &Arc<str> {
        &self.filter
    }

    fn add(&self, subscription: Subscription) -> bool {
        put(&mut self.members.lock(), subscription)
    }

    /// The members, beginning with the one whose turn it is: the message goes
    /// to the first who takes it. Who is connected comes first; an offline
    /// one takes it only if none is.
    pub(crate) fn in_turn(&self) -> Vec<Subscription> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let (mut connected, mut offline): (Vec<_>, Vec<_>) =
            self.members.lock().iter().cloned().partition(|member| match &member.subscriber {
                Subscriber::Session(session) => session.is_connected(),
                Subscriber::Inline(_) => true,
            });
        for members in [&mut connected, &mut offline] {
            let count = members.len().max(1);
            members.rotate_left(turn % count);
        }
        connected.append(&mut offline);
        connected
    }
}
