//! The sessions of a broker, by client id: in order, so that they can be gone
//! through in pages.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use crate::session_handle::Session;

/// One session at most for each client id. The id is the session's own: beside
/// the pointer to it, which is all that is here, it would take twice as much.
#[derive(Debug, Default)]
pub(crate) struct Sessions(BTreeSet<ByClientId>);

#[derive(Debug)]
struct ByClientId(Arc<Session>);

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, client_id: &str) -> bool {
        self.0.contains(client_id)
    }

    pub(crate) fn get(&self, client_id: &str) -> Option<&Arc<Session>> {
        self.0.get(client_id).map(|known| &known.0)
    }

    /// Puts it in the place of another one of its client.
    pub(crate) fn insert(&mut self, session: Arc<Session>) {
        self.0.replace(ByClientId(session));
    }

    /// Takes this very session out, not a newer one of its client; false: it
    /// is not there.
    pub(crate) fn remove(&mut self, session: &Arc<Session>) -> bool {
        let client_id = &*session.client_id;
        let is_there = self.get(client_id).is_some_and(|known| Arc::ptr_eq(known, session));
        is_there && self.0.remove(client_id)
    }

    /// All of them, to be looked at when the lock is gone.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.0.iter().map(|known| known.0.clone()).collect()
    }

    /// Those that follow a client id, as many as this.
    pub(crate) fn after(&self, client_id: Option<&str>, limit: usize) -> Vec<Arc<Session>> {
        let from = client_id.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.0.range::<str, _>((from, Bound::Unbounded)).take(limit);
        found.map(|known| known.0.clone()).collect()
    }
}

impl Borrow<str> for ByClientId {
    fn borrow(&self) -> &str {
        &self.0.client_id
    }
}

impl PartialEq for ByClientId {
    fn eq(&self, other: &Self) -> bool {
        self.0.client_id == other.0.client_id
    }
}

impl Eq for ByClientId {}

impl PartialOrd for ByClientId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByClientId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.client_id.cmp(&other.0.client_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(client_id: &str, number: u64) -> Arc<Session> {
        Session::new(client_id.into(), "anyone".into(), number)
    }

    fn numbers(sessions: &[Arc<Session>]) -> Vec<u64> {
        sessions.iter().map(|session| session.number).collect()
    }

    #[test]
    fn the_newest_session_of_a_client_is_the_one() {
        let mut sessions = Sessions::default();
        let (old, new) = (session("a", 1), session("a", 2));
        sessions.insert(old.clone());
        sessions.insert(new.clone());
        assert_eq!(numbers(&sessions.all()), [2]);
        assert!(!sessions.remove(&old));
        assert_eq!(sessions.get("a").map(|known| known.number), Some(2));
        assert!(sessions.remove(&new));
        assert!(!sessions.contains("a"));
    }

    #[test]
    fn pages_follow_each_other_whoever_has_gone() {
        let mut sessions = Sessions::default();
        for (number, client_id) in ["c", "a", "d", "b"].into_iter().enumerate() {
            sessions.insert(session(client_id, number as u64));
        }
        assert_eq!(numbers(&sessions.after(None, 2)), [1, 3]);
        assert_eq!(numbers(&sessions.after(Some("b"), 2)), [0, 2]);
        assert_eq!(numbers(&sessions.after(Some("bb"), 1)), [0]);
        assert_eq!(sessions.after(Some("d"), 1).len(), 0);
    }
}
