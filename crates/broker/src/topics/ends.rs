//! The filters that end at one node of the index.

use std::sync::Arc;

use latchlight_mqtt::TopicFilter;

use super::Route;
use super::group::SharedGroup;
use super::index::{Subscriber, Subscription, place_of};

/// Who is subscribed to the filters that end at a node: mostly one.
#[derive(Default)]
pub(super) enum Ends {
    #[default]
    None,
    Here(Subscription),
    /// To a filter that ends in `#`.
    Below(Subscription),
    Shared(Arc<SharedGroup>),
    Many(Box<Lists>),
}

/// The same of any number.
#[derive(Default)]
pub(super) struct Lists {
    here: Vec<Subscription>,
    below: Vec<Subscription>,
    shared: Vec<Arc<SharedGroup>>,
}

impl Ends {
    pub(super) fn are_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Adds a subscription, or replaces the subscriber's; true if it is new.
    pub(super) fn add(&mut self, below: bool, subscription: Subscription) -> bool {
        if self.are_none() {
            *self = Self::of_one(below, subscription);
            return true;
        }
        match (&mut *self, below) {
            (Self::Here(known), false) | (Self::Below(known), true)
                if known.subscriber.is(&subscription.subscriber) =>
            {
                *known = subscription;
                false
            }
            _ => put(self.lists().of(below), subscription),
        }
    }

    /// Removes a subscription; true if there was one.
    pub(super) fn remove(&mut self, below: bool, subscriber: &Subscriber) -> bool {
        match (&mut *self, below) {
            (Self::Here(known), false) | (Self::Below(known), true)
                if known.subscriber.is(subscriber) =>
            {
                *self = Self::None;
                true
            }
            (Self::Many(lists), _) => {
                let list = lists.of(below);
                let Some(at) = place_of(list, subscriber) else { return false };
                list.remove(at);
                if list.len() < list.capacity() / 4 {
                    list.shrink_to_fit();
                }
                self.settle();
                true
            }
            _ => false,
        }
    }

    /// The shared subscription of this name and filter, which is made where
    /// there is none.
    pub(super) fn group(&mut self, filter: &TopicFilter) -> Arc<SharedGroup> {
        if let Some(group) = self.find_group(filter) {
            return group.clone();
        }
        let group = SharedGroup::new(filter);
        if self.are_none() {
            *self = Self::Shared(group.clone());
        } else {
            self.lists().shared.push(group.clone());
        }
        group
    }

    pub(super) fn find_group(&self, filter: &TopicFilter) -> Option<&Arc<SharedGroup>> {
        let groups = match self {
            Self::Shared(group) => std::slice::from_ref(group),
            Self::Many(lists) => &lists.shared,
            _ => &[],
        };
        groups.iter().find(|group| &**group.filter() == filter.as_str())
    }

    /// Removes a member of a shared subscription; true if it was one.
    pub(super) fn leave(&mut self, filter: &TopicFilter, subscriber: &Subscriber) -> bool {
        let Some(group) = self.find_group(filter) else { return false };
        let (removed, is_empty) = group.remove(subscriber);
        if is_empty {
            match self {
                Self::Many(lists) => {
                    lists.shared.retain(|group| &**group.filter() != filter.as_str());
                }
                _ => *self = Self::None,
            }
            self.settle();
        }
        removed
    }

    /// Adds to a route those who get a message on a topic that ends here, or
    /// goes on below.
    pub(super) fn collect(&self, ends: bool, wild: bool, route: &mut Route) {
        match self {
            Self::Here(subscription) if ends => route.add(subscription),
            Self::Below(subscription) if wild => route.add(subscription),
            Self::Shared(group) if if group.is_below() { wild } else { ends } => {
                route.groups.push(group.clone());
            }
            Self::Many(lists) => lists.collect(ends, wild, route),
            _ => {}
        }
    }

    fn of_one(below: bool, subscription: Subscription) -> Self {
        if below { Self::Below(subscription) } else { Self::Here(subscription) }
    }

    fn lists(&mut self) -> &mut Lists {
        if !matches!(self, Self::Many(_)) {
            let mut lists = Box::<Lists>::default();
            match std::mem::take(self) {
                Self::Here(subscription) => lists.here.push(subscription),
                Self::Below(subscription) => lists.below.push(subscription),
                Self::Shared(group) => lists.shared.push(group),
                Self::None | Self::Many(_) => {}
            }
            *self = Self::Many(lists);
        }
        let Self::Many(lists) = self else { unreachable!("they were made many") };
        lists
    }

    /// Lists of one, or none, are none.
    fn settle(&mut self) {
        let Self::Many(lists) = self else { return };
        if lists.here.len() + lists.below.len() + lists.shared.len() > 1 {
            return;
        }
        let Lists { here, below, shared } = std::mem::take(&mut **lists);
        let here = here.into_iter().map(Self::Here);
        let below = below.into_iter().map(Self::Below);
        let shared = shared.into_iter().map(Self::Shared);
        *self = here.chain(below).chain(shared).next().unwrap_or_default();
    }
}

impl Lists {
    fn of(&mut self, below: bool) -> &mut Vec<Subscription> {
        if below { &mut self.below } else { &mut self.here }
    }

    fn collect(&self, ends: bool, wild: bool, route: &mut Route) {
        for is_below in [true, false] {
            if !(if is_below { wild } else { ends }) {
                continue;
            }
            let list = if is_below { &self.below } else { &self.here };
            list.iter().for_each(|subscription| route.add(subscription));
            let groups = self.shared.iter().filter(|group| group.is_below() == is_below);
            route.groups.extend(groups.cloned());
        }
    }
}

fn put(list: &mut Vec<Subscription>, subscription: Subscription) -> bool {
    let known = place_of(list, &subscription.subscriber);
    match known {
        Some(at) => list[at] = subscription,
        None => list.push(subscription),
    }
    known.is_none()
}
