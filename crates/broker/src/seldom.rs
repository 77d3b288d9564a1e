//! What most sessions never need, and the others not all the time.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

/// A collection that takes no more than a pointer while nothing was put into
/// it. Whoever changes it makes it, so that what is empty is best asked first.
pub(crate) struct Seldom<T>(Option<Box<T>>);

/// What a [`Seldom`] looks like that is not there.
pub(crate) trait Collection: Default + 'static {
    const NONE: &'static Self;

    fn is_empty(&self) -> bool;
}

impl<T: Collection> Seldom<T> {
    /// What was in it; it is not there any more.
    pub(crate) fn take(&mut self) -> T {
        self.0.take().map_or_else(T::default, |all| *all)
    }

    /// It goes if nothing is in it.
    pub(crate) fn rest(&mut self) {
        if self.is_empty() {
            self.0 = None;
        }
    }
}

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Collection> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::NONE)
    }
}

impl<T: Collection> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(make)
    }
}

/// Seldom, and apart, so that it stands in nobody's way.
#[cold]
#[inline(never)]
fn make<T: Default>() -> Box<T> {
    Box::default()
}

impl<T: Collection + fmt::Debug> fmt::Debug for Seldom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: 'static> Collection for Vec<T> {
    const NONE: &'static Self = &Self::new();

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<T: 'static> Collection for VecDeque<T> {
    const NONE: &'static Self = &Self::new();

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<K: 'static, V: 'static> Collection for FxHashMap<K, V> {
    const NONE: &'static Self = &Self::with_hasher(FxBuildHasher);

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<T: 'static> Collection for FxHashSet<T> {
    const NONE: &'static Self = &Self::with_hasher(FxBuildHasher);

    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_from_the_first_change_until_it_rests_empty() {
        let mut seldom = Seldom::<Vec<u8>>::default();
        assert_eq!(size_of_val(&seldom), size_of::<usize>());
        assert_eq!(seldom.len(), 0);
        assert!(seldom.0.is_none(), "looking does not make it");
        seldom.push(1);
        seldom.rest();
        assert_eq!(*seldom, [1]);
        seldom.clear();
        seldom.rest();
        assert!(seldom.0.is_none());
        seldom.push(2);
        assert_eq!(seldom.take(), [2]);
        assert!(seldom.0.is_none());
    }
}
