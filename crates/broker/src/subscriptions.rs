//! The subscriptions of a session. Most clients have one or two: a table for
//! each client would be a good part of what it takes.

use std::num::NonZeroU32;

use latchlight_mqtt::{SubscriptionOptions, TopicFilter};
use rustc_hash::FxHashMap;

use crate::Options;
use crate::seldom::Seldom;
use crate::topics::Levels;

/// How many are found without a table.
const FEW: usize = 8;

/// A subscription as its session holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) options: SubscriptionOptions,
    pub(crate) identifier: Option<NonZeroU32>,
}

/// The subscriptions of a session, and what their filters take.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    few: Vec<(TopicFilter, Held)>,
    /// Those for which there was no room among the few.
    many: Seldom<FxHashMap<TopicFilter, Held>>,
    /// How many are shared.
    shared: u32,
    bytes: u32,
}

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        self.few.len() + self.many.len()
    }

    pub(crate) fn contains(&self, filter: &TopicFilter) -> bool {
        self.get(filter).is_some()
    }

    pub(crate) fn get(&self, filter: &TopicFilter) -> Option<&Held> {
        match self.among_few(filter) {
            Some(place) => Some(&self.few[place].1),
            None => self.many.get(filter),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TopicFilter, &Held)> {
        self.few.iter().map(|(filter, held)| (filter, held)).chain(&*self.many)
    }

    /// Whether there is room for one more, of this filter.
    pub(crate) fn has_room(&self, filter: &TopicFilter, options: &Options) -> bool {
        let most = options.max_subscription_bytes.min(u32::MAX as usize);
        let has_share =
            filter.shared().is_none() || (self.shared as usize) < options.max_shared_subscriptions;
        has_share
            && self.len() < options.max_subscriptions
            && self.bytes as usize + size(filter) as usize <= most
    }

    pub(crate) fn insert(&mut self, filter: TopicFilter, held: Held) {
        let known = match self.among_few(&filter) {
            Some(place) => Some(&mut self.few[place].1),
            None if self.many.is_empty() => None,
            None => self.many.get_mut(&filter),
        };
        if let Some(known) = known {
            *known = held;
            return;
        }
        self.bytes += size(&filter);
        self.shared += u32::from(filter.shared().is_some());
        if self.few.len() < FEW {
            // One at a time: most have one and no more.
            self.few.reserve_exact(1);
            self.few.push((own(&filter), held));
        } else {
            self.many.insert(own(&filter), held);
        }
    }

    /// False: it was none of them.
    pub(crate) fn remove(&mut self, filter: &TopicFilter) -> bool {
        let known = match self.among_few(filter) {
            Some(place) => {
                self.few.swap_remove(place);
                true
            }
            None if self.many.is_empty() => false,
            None => self.many.remove(filter).is_some(),
        };
        self.many.rest();
        if known {
            self.bytes -= size(filter);
            self.shared -= u32::from(filter.shared().is_some());
        }
        known
    }

    fn among_few(&self, filter: &TopicFilter) -> Option<usize> {
        self.few.iter().position(|(held, _)| held == filter)
    }
}

/// The same in memory of its own: one that a client sent keeps the packet that
/// it came in, however large that was.
fn own(filter: &TopicFilter) -> TopicFilter {
    TopicFilter::try_from(filter.as_str()).unwrap_or_else(|_| filter.clone())
}

/// What a filter takes: it stands here, and level by level in the index.
fn size(filter: &TopicFilter) -> u32 {
    const LEVEL: usize = 128;
    // At most 64 KiB, and not more levels than bytes.
    (filter.as_str().len() + LEVEL * Levels::of(filter.as_str()).count()) as u32
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use latchlight_mqtt::{QoS, SubscriptionOptions, TopicFilter};

    use super::{FEW, Held, Subscriptions};
    use crate::Options;

    fn filter(number: usize) -> TopicFilter {
        format!("a/{number}").as_str().try_into().unwrap()
    }

    fn held(qos: QoS) -> Held {
        Held { options: SubscriptionOptions { qos, ..Default::default() }, identifier: None }
    }

    #[test]
    fn few_and_many_are_the_same_to_whoever_asks() {
        let mut subscriptions = Subscriptions::default();
        let all = 3 * FEW;
        for number in 0..all {
            subscriptions.insert(filter(number), held(QoS::AtMostOnce));
            // The same again replaces it.
            subscriptions.insert(filter(number), held(QoS::AtLeastOnce));
            assert_eq!(subscriptions.len(), number + 1);
        }
        // Of every second, also of those that made room.
        for number in (0..all).step_by(2) {
            assert!(subscriptions.remove(&filter(number)));
            assert!(!subscriptions.remove(&filter(number)));
        }
        for number in 0..all {
            let found = subscriptions.get(&filter(number)).map(|held| held.options.qos);
            assert_eq!(found, (number % 2 == 1).then_some(QoS::AtLeastOnce));
        }
        // One that stands in the table is replaced there, although there is
        // room among the few.
        subscriptions.insert(filter(all - 1), held(QoS::ExactlyOnce));
        assert_eq!(subscriptions.len(), all / 2);
        assert_eq!(subscriptions.iter().count(), all / 2);
        for number in 0..all {
            subscriptions.remove(&filter(number));
        }
        assert_eq!(subscriptions.bytes, 0);
        assert_eq!(subscriptions.len(), 0);
    }

    #[test]
    fn what_the_filters_take_is_bounded() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.insert(filter(1), held(QoS::AtMostOnce));
        let options =
            Options { max_subscription_bytes: subscriptions.bytes as usize, ..Options::default() };
        assert!(!subscriptions.has_room(&filter(2), &options));
        subscriptions.remove(&filter(1));
        assert!(subscriptions.has_room(&filter(2), &options));
        let options = Options { max_subscriptions: 0, ..Options::default() };
        assert!(!subscriptions.has_room(&filter(2), &options));
    }
}
