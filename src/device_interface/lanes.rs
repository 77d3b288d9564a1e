//! What waits for what: the messages of one speaker in their order, those of
//! different speakers side by side, and a plugin's apart from everything.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use latchlight_plugin_api::Caller;

use crate::identity::Identity;
use crate::state::DeviceId;

/// How many messages of one speaker may wait behind the one being worked on;
/// what comes beyond is answered as too much, and not performed.
const WAITING: usize = 64;

/// Whose messages are in order: a speaker's, and apart from them those that
/// go to one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LaneKey {
    pub(super) speaker: Speaker,
    pub(super) plugin: Option<Arc<str>>,
}

/// Who speaks over MQTT; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Speaker {
    Device(DeviceId),
    App(Identity),
    /// Whoever publishes on this topic.
    Topic(Arc<str>),
}

impl Speaker {
    fn caller(&self) -> Caller {
        match self {
            Self::Device(id) => Caller::Device(id.to_string()),
            Self::App(app) => Caller::App(app.to_string()),
            Self::Topic(topic) => Caller::Topic(topic.to_string()),
        }
    }
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.caller().fmt(f)
    }
}

/// The lanes that have work, and what waits in them.
pub(super) struct Lanes<T> {
    waiting: HashMap<LaneKey, VecDeque<T>>,
}

/// Where a job goes.
pub(super) enum Entered<T> {
    /// The lane was empty: work on it now, then [`Lanes::leave`].
    Now(T),
    /// It waits.
    Waits,
    /// Too many wait.
    Full(T),
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new() }
    }
}

impl<T> Lanes<T> {
    /// A job enters its lane.
    pub(super) fn enter(&mut self, key: &LaneKey, job: T) -> Entered<T> {
        match self.waiting.get_mut(key) {
            None => {
                self.waiting.insert(key.clone(), VecDeque::new());
                Entered::Now(job)
            }
            Some(waiting) if waiting.len() < WAITING => {
                waiting.push_back(job);
                Entered::Waits
            }
            Some(_) => Entered::Full(job),
        }
    }

    /// The job that was worked on is done: gives the next one.
    pub(super) fn leave(&mut self, key: &LaneKey) -> Option<T> {
        let next = self.waiting.get_mut(key)?.pop_front();
        if next.is_none() {
            self.waiting.remove(key);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(speaker: &str) -> LaneKey {
        LaneKey { speaker: Speaker::Topic(speaker.into()), plugin: None }
    }

    #[test]
    fn one_speaker_is_served_in_order_and_holds_up_no_other() {
        let mut lanes = Lanes::default();
        assert!(matches!(lanes.enter(&key("a"), 1), Entered::Now(1)));
        assert!(matches!(lanes.enter(&key("a"), 2), Entered::Waits));
        assert!(matches!(lanes.enter(&key("b"), 3), Entered::Now(3)));
        let plugin = LaneKey { plugin: Some("p".into()), ..key("a") };
        assert!(matches!(lanes.enter(&plugin, 4), Entered::Now(4)));
        assert_eq!(lanes.leave(&key("a")), Some(2));
        assert_eq!(lanes.leave(&key("a")), None);
        assert!(matches!(lanes.enter(&key("a"), 5), Entered::Now(5)));
    }

    #[test]
    fn one_more_than_may_wait_is_given_back() {
        let mut lanes = Lanes::default();
        lanes.enter(&key("a"), 0);
        for job in 1..=WAITING {
            assert!(matches!(lanes.enter(&key("a"), job), Entered::Waits));
        }
        assert!(matches!(lanes.enter(&key("a"), 99), Entered::Full(99)));
    }
}
