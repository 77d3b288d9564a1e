//! Retained messages: the newest of each topic that was published to be kept.

mod branches;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytestring::ByteString;
use latchlight_mqtt::TopicFilter;

use branches::Branches;

use super::Levels;
use crate::message::Message;
use crate::{Options, Time};

/// A tree of topic levels with the message of each topic.
#[derive(Default)]
pub(crate) struct Retained {
    root: Node,
    /// The same in order, to be gone through in pages.
    by_topic: BTreeMap<ByteString, Arc<Message>>,
    bytes: usize,
    /// Those that expire, in that order.
    expiring: BTreeSet<(Time, ByteString)>,
}

#[derive(Default)]
struct Node {
    children: Branches,
    message: Option<Arc<Message>>,
}

/// Some of the messages that a filter matches.
pub(crate) struct Page {
    pub(crate) found: Vec<Arc<Message>>,
    /// Where to go on, if that was not all.
    pub(crate) after: Option<ByteString>,
}

/// How many messages are looked at for one page.
const PAGE: usize = 1024;

/// The bound is reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Retained {
    pub(crate) fn count(&self) -> usize {
        self.by_topic.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a client's message in the place of the one before; an empty
    /// payload takes that away and keeps nothing [MQTT-3.3.1-6],
    /// [MQTT-3.3.1-7].
    pub(crate) fn set(&mut self, message: Arc<Message>, options: &Options) -> Result<(), Full> {
        let before = self.by_topic.get(&message.topic);
        let count = self.count() + usize::from(before.is_none());
        let bytes = self.bytes - before.map_or(0, |m| m.size()) + message.size();
        let full = count > options.max_retained_messages || bytes > options.max_retained_bytes;
        if full && !message.payload.is_empty() {
            return Err(Full);
        }
        self.set_own(message);
        Ok(())
    }

    /// The same for a message of this process, which the bounds count and do
    /// not hold back.
    pub(crate) fn set_own(&mut self, message: Arc<Message>) {
        if message.payload.is_empty() {
            self.remove(&message.topic);
            return;
        }
        let topic = message.topic.clone();
        let before = self.by_topic.insert(topic.clone(), message.clone());
        if let Some(before) = &before {
            self.forget(before);
        }
        self.bytes += message.size();
        if let Some(at) = message.expires_at {
            self.expiring.insert((at, topic.clone()));
        }
        // Where there was one, no level has to be made.
        let known = before.is_some().then(|| self.root.find(&topic)).flatten();
        match known {
            Some(node) => node.message = Some(message),
            None => self.root.reach(&topic).message = Some(message),
        }
    }

    /// Forgets the size and the expiry of a message.
    fn forget(&mut self, message: &Message) {
        self.bytes -= message.size();
        if let Some(at) = message.expires_at {
            self.expiring.remove(&(at, message.topic.clone()));
        }
    }

    /// Forgets the message of a topic; gives it.
    pub(crate) fn remove(&mut self, topic: &str) -> Option<Arc<Message>> {
        let removed = self.root.remove(&mut Levels::of(topic));
        if let Some(message) = &removed {
            self.by_topic.remove(topic);
            self.forget(message);
        }
        removed
    }

    /// All messages that a filter (without `$share`) matches and whose time
    /// has not run out.
    pub(crate) fn matching(&self, filter: &str, now: Time) -> Vec<Arc<Message>> {
        let levels: Vec<&str> = Levels::of(filter).collect();
        let mut found = Vec::new();
        self.root.collect(&levels, true, &mut |message| {
            if !message.is_expired(now) {
                found.push(message.clone());
            }
        });
        found
    }

    /// Those of the next messages behind a topic, in the order of topics, that
    /// a filter matches and whose time has not run out.
    pub(crate) fn page(&self, filter: &TopicFilter, after: &str, now: Time) -> Page {
        let (wanted, wildcards) = (filter.filter(), ['+', '#']);
        // `a/#` matches `a` as well.
        let literal = wanted.split(wildcards).next().unwrap_or(wanted);
        let prefix = if literal.len() < wanted.len() {
            literal.strip_suffix('/').unwrap_or(literal)
        } else {
            literal
        };
        let from = match prefix > after {
            true => Bound::Included(prefix),
            false => Bound::Excluded(after),
        };
        let mut behind = self.by_topic.range::<str, _>((from, Bound::Unbounded));
        let mut page = Page { found: Vec::new(), after: None };
        for (topic, message) in behind.by_ref().take(PAGE) {
            if !topic.starts_with(prefix) {
                return Page { after: None, ..page };
            }
            if filter.matches(topic) && !message.is_expired(now) {
                page.found.push(message.clone());
            }
            page.after = Some(topic.clone());
        }
        Page { after: page.after.filter(|_| behind.next().is_some()), ..page }
    }

    /// Every message.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.by_topic.values()
    }

    /// How many messages a filter matches, at the most, and how many nodes of
    /// the tree were looked at for that.
    pub(crate) fn count_matching(&self, filter: &str) -> (usize, usize) {
        let levels: Vec<&str> = Levels::of(filter).collect();
        let mut count = 0;
        let looks = self.root.collect(&levels, true, &mut |_| count += 1);
        (count, looks)
    }

    /// How many levels their topics have.
    #[cfg(feature = "testing")]
    pub(crate) fn levels(&self) -> usize {
        self.root.levels()
    }

    /// Forgets what has expired; gives their topics.
    pub(crate) fn expire(&mut self, now: Time) -> Vec<ByteString> {
        let mut expired = Vec::new();
        while self.expiring.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, topic)) = self.expiring.pop_first() {
                self.remove(&topic);
                expired.push(topic);
            }
        }
        expired
    }
}

impl Node {
    /// The node of a topic, if it is there.
    fn find(&mut self, topic: &str) -> Option<&mut Self> {
        Levels::of(topic).try_fold(self, |node, level| node.children.get_mut(level))
    }

    /// The node of a topic, made if it is not there.
    fn reach(&mut self, topic: &str) -> &mut Self {
        Levels::of(topic).fold(self, |node, level| node.children.reach(level))
    }

    fn remove<'a>(&mut self, levels: &mut impl Iterator<Item = &'a str>) -> Option<Arc<Message>> {
        let Some(level) = levels.next() else { return self.message.take() };
        let child = self.children.get_mut(level)?;
        let removed = child.remove(levels);
        if child.message.is_none() && child.children.is_empty() {
            self.children.remove(level);
        }
        removed
    }

    /// Gives how many nodes were looked at. `hidden` leaves out what begins with
    /// `$` where the filter begins with a wildcard [MQTT-4.7.2-1].
    fn collect(
        &self,
        filter: &[&str],
        hidden: bool,
        found: &mut impl FnMut(&Arc<Message>),
    ) -> usize {
        let mut looks = 1;
        match filter.split_first() {
            None => self.message.iter().for_each(found),
            Some((&wildcard @ ("#" | "+"), rest)) => {
                let is_all = wildcard == "#";
                if is_all {
                    // `a/#` matches `a` as well.
                    self.message.iter().for_each(&mut *found);
                }
                let below = if is_all { filter } else { rest };
                for (level, child) in self.children.iter() {
                    if !(hidden && level.starts_with('$')) {
                        looks += child.collect(below, false, found);
                    }
                }
            }
            Some((level, rest)) => {
                if let Some(child) = self.children.get(level) {
                    looks += child.collect(rest, false, found);
                }
            }
        }
        looks
    }

    #[cfg(feature = "testing")]
    fn levels(&self) -> usize {
        self.children.iter().map(|(_, node)| 1 + node.levels()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchlight_mqtt::{Properties, QoS};

    fn message(topic: &str, payload: &'static str, expires_at: Option<Time>) -> Arc<Message> {
        Arc::new(Message {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: true,
            properties: Properties::new(),
            expires_at,
        })
    }

    fn found(retained: &Retained, filter: &str) -> Vec<String> {
        let mut topics: Vec<_> =
            retained.matching(filter, 0).iter().map(|m| m.topic.to_string()).collect();
        topics.sort();
        topics
    }

    #[test]
    fn filters_find_what_they_match() {
        let mut retained = Retained::default();
        let options = Options::default();
        for topic in ["a", "a/b", "a/b/c", "x//y", "$SYS/up"] {
            retained.set(message(topic, "1", None), &options).expect("room");
        }
        assert_eq!(found(&retained, "#"), ["a", "a/b", "a/b/c", "x//y"]);
        assert_eq!(found(&retained, "a/#"), ["a", "a/b", "a/b/c"]);
        assert_eq!(found(&retained, "+"), ["a"]);
        assert_eq!(found(&retained, "+/b"), ["a/b"]);
        assert_eq!(found(&retained, "x/+/y"), ["x//y"]);
        assert_eq!(found(&retained, "$SYS/#"), ["$SYS/up"]);
        assert_eq!(found(&retained, "+/up"), [""; 0]);
    }

    #[test]
    fn one_more_than_the_bound_is_refused_and_counts_stay_right() {
        let options =
            Options { max_retained_messages: 2, max_retained_bytes: 10, ..Options::default() };
        let mut retained = Retained::default();
        retained.set(message("a", "1", None), &options).expect("room");
        retained.set(message("b", "1", None), &options).expect("room");
        assert_eq!(retained.set(message("c", "1", None), &options), Err(Full));
        // Replacing is no growth; emptying makes room.
        retained.set(message("b", "22", None), &options).expect("replaced");
        assert_eq!((retained.count(), retained.bytes()), (2, 5));
        retained.set(message("a", "", None), &options).expect("removed");
        assert_eq!((retained.count(), retained.bytes()), (1, 3));
        assert_eq!(retained.set(message("c", "1234567", None), &options), Err(Full));
    }

    #[test]
    fn what_has_expired_is_not_found_and_is_forgotten() {
        let mut retained = Retained::default();
        retained.set(message("a", "1", Some(10)), &Options::default()).expect("room");
        assert_eq!(retained.matching("a", 9).len(), 1);
        assert_eq!(retained.matching("a", 10).len(), 0);
        assert_eq!(retained.expire(10).len(), 1);
        assert_eq!((retained.count(), retained.bytes()), (0, 0));
    }
}
