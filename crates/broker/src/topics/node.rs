//! The tree of topic levels below the index. A level by which one filter alone
//! goes on has all that is left of it in its name: most filters are told apart
//! by one level, and a node for each of the others would be most of the index.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use rustc_hash::FxHashSet;

use super::ends::Ends;
use super::{Levels, Route};

/// How many branches are found without a table.
const FEW: usize = 4;

/// One level of topic filters, or the last levels of one of them.
#[derive(Default)]
pub(super) struct Node {
    /// `level`, or `level/rest` where one filter alone goes on.
    name: Box<str>,
    /// The filters that end here: behind the rest, where there is one.
    pub(super) ends: Ends,
    /// Those that go on; none where there is a rest.
    branches: Option<Box<Branches>>,
}

/// The next levels.
#[derive(Default)]
struct Branches {
    plus: Option<Box<Node>>,
    few: Vec<ByLevel>,
    /// Those for which there was no room among the few.
    many: FxHashSet<ByLevel>,
}

/// A node, found by its level.
struct ByLevel(Box<Node>);

impl Borrow<str> for ByLevel {
    fn borrow(&self) -> &str {
        self.0.level()
    }
}

impl Hash for ByLevel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.level().hash(state);
    }
}

impl PartialEq for ByLevel {
    fn eq(&self, other: &Self) -> bool {
        self.0.level() == other.0.level()
    }
}

impl Eq for ByLevel {}

impl Node {
    fn new(levels: &str) -> Box<Self> {
        Box::new(Self { name: levels.into(), ..Self::default() })
    }

    fn level(&self) -> &str {
        Levels::split(&self.name).0
    }

    fn rest(&self) -> Option<&str> {
        Levels::split(&self.name).1
    }

    fn is_of(&self, level: &str) -> bool {
        let behind = self.name.strip_prefix(level);
        behind.is_some_and(|behind| behind.is_empty() || behind.starts_with('/'))
    }

    /// Does this where a filter ends; `levels` are those that are left of it.
    /// What is missing on the way there is made.
    pub(super) fn reach<T>(&mut self, levels: Option<&str>, act: impl FnOnce(&mut Ends) -> T) -> T {
        let Some(levels) = levels else { return act(&mut self.ends) };
        let (level, behind) = Levels::split(levels);
        let branches = self.branches.get_or_insert_default();
        let mut child = branches.take_out(level).unwrap_or_else(|| Self::new(levels));
        let result = if child.rest() == behind {
            act(&mut child.ends)
        } else {
            child.make_way();
            child.reach(behind, act)
        };
        branches.put(child);
        result
    }

    /// Does this where a filter ends, which takes something away there; gives
    /// nothing where nothing ends so.
    pub(super) fn clear<T>(
        &mut self,
        levels: Option<&str>,
        act: impl FnOnce(&mut Ends) -> T,
    ) -> Option<T> {
        let Some(levels) = levels else { return Some(act(&mut self.ends)) };
        let (level, behind) = Levels::split(levels);
        let branches = self.branches.as_mut()?;
        let mut child = branches.take_out(level)?;
        let result = match child.rest() {
            rest if rest == behind => Some(act(&mut child.ends)),
            Some(_) => None,
            None => child.clear(behind, act),
        };
        if !child.is_empty() {
            branches.put(child);
        } else if branches.are_none() {
            self.branches = None;
        }
        result
    }

    /// The filters that end where this one does.
    pub(super) fn find(&self, levels: Option<&str>) -> Option<&Ends> {
        let Some(levels) = levels else { return Some(&self.ends) };
        let (level, behind) = Levels::split(levels);
        let child = self.branches.as_ref()?.get(level)?;
        match child.rest() {
            rest if rest == behind => Some(&child.ends),
            Some(_) => None,
            None => child.find(behind),
        }
    }

    /// The rest becomes a branch, so that there is room for others.
    fn make_way(&mut self) {
        let (level, rest) = Levels::split(&self.name);
        let Some(rest) = rest else { return };
        let mut child = Self::new(rest);
        child.ends = std::mem::take(&mut self.ends);
        self.name = level.into();
        self.branches.get_or_insert_default().put(child);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.branches.is_none() && self.ends.are_none()
    }

    /// How many levels there are below this one.
    #[cfg(feature = "testing")]
    pub(super) fn levels(&self) -> usize {
        let rest = self.rest().map_or(0, |rest| Levels::of(rest).count());
        let branches = self.branches.iter().flat_map(|branches| branches.iter());
        rest + branches.map(|child| 1 + child.levels()).sum::<usize>()
    }

    /// Adds to a route who gets a message on a topic with these levels below
    /// this one; without `wild`, not by a wildcard at the first of them.
    pub(super) fn collect(&self, levels: &[&str], wild: bool, route: &mut Route) {
        let Some(branches) = &self.branches else { return self.collect_rest(levels, wild, route) };
        self.ends.collect(levels.is_empty(), wild, route);
        let Some((level, behind)) = levels.split_first() else { return };
        if let Some(child) = branches.get(level) {
            child.collect(behind, true, route);
        }
        if let Some(plus) = branches.plus.as_ref().filter(|_| wild) {
            plus.collect(behind, true, route);
        }
    }

    fn collect_rest(&self, mut levels: &[&str], wild: bool, route: &mut Route) {
        for wanted in self.rest().into_iter().flat_map(Levels::of) {
            match levels.split_first() {
                Some((level, behind)) if wanted == *level || wanted == "+" => levels = behind,
                _ => return,
            }
        }
        self.ends.collect(levels.is_empty(), wild, route);
    }
}

impl Branches {
    /// By a level of a filter, or one of a topic, which is never `+`.
    fn get(&self, level: &str) -> Option<&Node> {
        if level == "+" {
            return self.plus.as_deref();
        }
        let few = self.few.iter().find(|child| child.0.is_of(level));
        few.or_else(|| self.many.get(level)).map(|child| &*child.0)
    }

    fn take_out(&mut self, level: &str) -> Option<Box<Node>> {
        if level == "+" {
            return self.plus.take();
        }
        let child = match self.few.iter().position(|child| child.0.is_of(level)) {
            Some(at) => Some(self.few.swap_remove(at)),
            None => self.many.take(level),
        };
        child.map(|child| child.0)
    }

    fn put(&mut self, child: Box<Node>) {
        if child.level() == "+" {
            self.plus = Some(child);
        } else if self.few.len() < FEW {
            // One at a time: most have one and no more.
            self.few.reserve_exact(1);
            self.few.push(ByLevel(child));
        } else {
            self.many.insert(ByLevel(child));
        }
    }

    /// Whether there are none; after the last of many, their room goes too.
    fn are_none(&mut self) -> bool {
        if self.many.len() < self.many.capacity() / 8 {
            self.many.shrink_to(2 * self.many.len());
        }
        self.plus.is_none() && self.few.is_empty() && self.many.is_empty()
    }

    #[cfg(feature = "testing")]
    fn iter(&self) -> impl Iterator<Item = &Node> {
        let named = self.few.iter().chain(&self.many).map(|child| &*child.0);
        self.plus.as_deref().into_iter().chain(named)
    }
}
