//! The routes that a thread keeps.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::{Index, Route};

/// How many routes a thread keeps.
const ROUTES: usize = 16 * 1024;

/// About how many bytes they take, all but the last: it forgets them and
/// begins anew.
const ROUTE_BYTES: usize = 16 * 1024 * 1024;

thread_local! {
    static CACHE: RefCell<RouteCache> = RefCell::default();
}

/// Routes of one index, all as it was at one moment.
#[derive(Default)]
pub(crate) struct RouteCache {
    generation: u64,
    routes: FxHashSet<ByTopic>,
    bytes: usize,
}

/// A route, found by its topic.
struct ByTopic(Arc<Route>);

impl Borrow<str> for ByTopic {
    fn borrow(&self) -> &str {
        &self.0.topic
    }
}

impl Hash for ByTopic {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.topic.hash(state);
    }
}

impl PartialEq for ByTopic {
    fn eq(&self, other: &Self) -> bool {
        self.0.topic == other.0.topic
    }
}

impl Eq for ByTopic {}

impl RouteCache {
    /// Uses that of this thread.
    #[inline]
    pub(crate) fn of_this_thread<T>(use_it: impl FnOnce(&mut Self) -> T) -> T {
        CACHE.with(|cache| use_it(&mut cache.borrow_mut()))
    }

    /// The route of a topic, from here where it is good still; `made` is called
    /// where it is not.
    #[inline]
    pub(crate) fn route(&mut self, index: &Index, topic: &str, made: impl FnOnce()) -> Arc<Route> {
        let generation = index.generation();
        let is_full = self.routes.len() >= ROUTES || self.bytes >= ROUTE_BYTES;
        if self.generation != generation || is_full {
            self.clear();
            self.generation = generation;
        }
        if let Some(known) = self.routes.get(topic) {
            return known.0.clone();
        }
        made();
        let route = Arc::new(index.route(topic));
        // The index may have changed since: such a route is not kept.
        if route.generation == generation && index.generation() == generation {
            self.bytes += route.size();
            self.routes.insert(ByTopic(route.clone()));
        }
        route
    }

    /// Gives back what is not good any more, and the room for it.
    pub(crate) fn forget_stale(&mut self, index: &Index) {
        if self.generation != index.generation() {
            *self = Self::default();
        }
    }

    fn clear(&mut self) {
        self.routes.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use latchlight_mqtt::{QoS, TopicFilter};

    use super::super::{Subscriber, Subscription};
    use super::*;
    use crate::session_handle::Session;

    /// Somebody subscribes, so that every route may be another one.
    fn change(index: &Index) {
        let session = Session::new("reader".into(), "reader".into(), 1);
        let subscription = Subscription {
            subscriber: Subscriber::Session(session),
            qos: QoS::AtMostOnce,
            no_local: false,
            retain_as_published: false,
            identifier: None,
        };
        index.add(&TopicFilter::try_from("a").expect("a filter"), subscription);
    }

    /// A topic's route, and whether it had to be made.
    fn route(cache: &mut RouteCache, index: &Index, topic: &str) -> (Arc<Route>, bool) {
        let mut is_new = false;
        let route = cache.route(index, topic, || is_new = true);
        (route, is_new)
    }

    #[test]
    fn a_route_is_kept_until_subscriptions_change() {
        let (index, mut cache) = (Index::default(), RouteCache::default());
        let (made, is_new) = route(&mut cache, &index, "a");
        assert!(is_new && made.is_empty());
        let (kept, is_new) = route(&mut cache, &index, "a");
        assert!(!is_new && Arc::ptr_eq(&kept, &made));
        change(&index);
        let (made, is_new) = route(&mut cache, &index, "a");
        assert!(is_new && made.sessions.len() == 1);
        assert_eq!(cache.routes.len(), 1);
    }

    #[test]
    fn what_is_stale_holds_no_memory_once_it_is_forgotten() {
        let (index, mut cache) = (Index::default(), RouteCache::default());
        let route = Arc::downgrade(&route(&mut cache, &index, "a").0);
        cache.forget_stale(&index);
        assert!(route.upgrade().is_some(), "it is good still");
        change(&index);
        cache.forget_stale(&index);
        assert!(route.upgrade().is_none());
        assert_eq!((cache.routes.capacity(), cache.bytes), (0, 0));
    }

    #[test]
    fn routes_are_bounded_in_number_and_bytes() {
        let (index, mut cache) = (Index::default(), RouteCache::default());
        for number in 0..ROUTES {
            route(&mut cache, &index, &number.to_string());
        }
        assert_eq!(cache.routes.len(), ROUTES);
        route(&mut cache, &index, "one more");
        assert_eq!(cache.routes.len(), 1);

        let mut cache = RouteCache::default();
        let long = "x".repeat(ROUTE_BYTES / 16);
        for number in 0..16 {
            route(&mut cache, &index, &format!("{number}{long}"));
        }
        assert_eq!(cache.routes.len(), 16);
        route(&mut cache, &index, "one more");
        assert_eq!(cache.routes.len(), 1);
        assert!(cache.bytes < 1024, "{}", cache.bytes);
    }
}
