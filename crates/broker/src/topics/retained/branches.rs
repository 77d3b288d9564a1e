//! What goes on below a level of retained topics: mostly one level, or very
//! many. A table for one would be most of what a message takes.

use rustc_hash::FxHashMap;

use super::Node;

/// The next levels.
pub(super) enum Branches {
    One(Option<Box<(Box<str>, Node)>>),
    Many(Box<FxHashMap<Box<str>, Node>>),
}

impl Default for Branches {
    fn default() -> Self {
        Self::One(None)
    }
}

impl Branches {
    pub(super) fn get(&self, level: &str) -> Option<&Node> {
        match self {
            Self::One(one) => one.as_ref().filter(|one| *one.0 == *level).map(|one| &one.1),
            Self::Many(many) => many.get(level),
        }
    }

    pub(super) fn get_mut(&mut self, level: &str) -> Option<&mut Node> {
        match self {
            Self::One(one) => one.as_mut().filter(|one| *one.0 == *level).map(|one| &mut one.1),
            Self::Many(many) => many.get_mut(level),
        }
    }

    /// The node of this level, made if it is not there.
    pub(super) fn reach(&mut self, level: &str) -> &mut Node {
        if let Self::One(one) = self
            && let Some(other) = one.take_if(|one| *one.0 != *level)
        {
            *self = Self::Many(Box::new(FxHashMap::from_iter([*other])));
        }
        match self {
            Self::One(one) => {
                &mut one.get_or_insert_with(|| Box::new((level.into(), Node::default()))).1
            }
            Self::Many(many) => many.entry(level.into()).or_default(),
        }
    }

    pub(super) fn remove(&mut self, level: &str) {
        match self {
            Self::One(one) => drop(one.take_if(|one| *one.0 == *level)),
            Self::Many(many) => {
                many.remove(level);
                if many.is_empty() {
                    *self = Self::default();
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::One(None))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        let (one, many) = match self {
            Self::One(one) => (one.as_ref(), None),
            Self::Many(many) => (None, Some(many.iter())),
        };
        let one = one.map(|one| (&*one.0, &one.1));
        let many = many.into_iter().flatten().map(|(level, node)| (&**level, node));
        one.into_iter().chain(many)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_many_are_the_same_to_whoever_asks() {
        let mut branches = Branches::default();
        for many in 1..=3 {
            let levels: Vec<String> = (0..many).map(|number| number.to_string()).collect();
            for level in levels.iter().chain(&levels) {
                branches.reach(level);
                assert!(branches.get(level).is_some() && branches.get_mut(level).is_some());
            }
            assert!(branches.get("x").is_none() && branches.get_mut("x").is_none());
            let mut found: Vec<&str> = branches.iter().map(|(level, _)| level).collect();
            found.sort_unstable();
            assert_eq!(found, levels);
            branches.remove("x");
            for level in &levels {
                assert!(!branches.is_empty());
                branches.remove(level);
            }
            assert!(branches.is_empty() && branches.iter().next().is_none());
        }
    }
}
