//! Who is on their way through the provider, and what they have to come back
//! with.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use openidconnect::{Nonce, PkceCodeVerifier, RedirectUrl};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How long somebody may take at the provider.
pub(super) const LIFETIME: Duration = Duration::from_secs(600);

/// How many may be on their way; when there are more, who set out first has to
/// begin anew.
const MOST: usize = 10_000;

/// Everybody who is on their way.
#[derive(Default)]
pub(super) struct Pending(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// By the state that the provider gives back.
    ways: HashMap<String, (Instant, Way)>,
    /// In the order in which they set out; also those that are back.
    order: VecDeque<(Instant, String)>,
}

/// One of them.
pub(super) struct Way {
    /// The SHA-256 of what the browser that set out has in its cookie.
    pub(super) browser: [u8; 32],
    pub(super) nonce: Nonce,
    pub(super) verifier: PkceCodeVerifier,
    /// Where the provider sends them back to.
    pub(super) back: RedirectUrl,
}

impl Pending {
    /// Somebody sets out.
    pub(super) fn add(&self, state: &str, way: Way, now: Instant) {
        let mut inner = self.0.lock();
        while let Some((since, _)) = inner.order.front() {
            if inner.order.len() < MOST && now.duration_since(*since) < LIFETIME {
                break;
            }
            if let Some((_, state)) = inner.order.pop_front() {
                inner.ways.remove(&state);
            }
        }
        inner.order.push_back((now, state.to_owned()));
        inner.ways.insert(state.to_owned(), (now, way));
    }

    /// Somebody comes back, which they can once. Nothing: nobody has set out so
    /// from this browser, or too long ago.
    pub(super) fn take(&self, state: &str, browser: &str, now: Instant) -> Option<Way> {
        let (since, way) = self.0.lock().ways.remove(state)?;
        let in_time = now.duration_since(since) < LIFETIME;
        let same: bool = way.browser.ct_eq(&digest(browser)).into();
        (in_time && same).then_some(way)
    }
}

/// What is remembered of a browser.
pub(super) fn digest(browser: &str) -> [u8; 32] {
    Sha256::digest(browser.as_bytes()).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn way(browser: &str) -> Way {
        Way {
            browser: digest(browser),
            nonce: Nonce::new_random(),
            verifier: PkceCodeVerifier::new("v".repeat(43)),
            back: RedirectUrl::new("https://home.example/".to_owned()).unwrap(),
        }
    }

    #[test]
    fn one_comes_back_once_in_time_and_in_the_same_browser() {
        let (pending, now) = (Pending::default(), Instant::now());
        for state in ["a", "b", "c"] {
            pending.add(state, way("mine"), now);
        }
        assert!(pending.take("x", "mine", now).is_none());
        assert!(pending.take("a", "mine", now).is_some());
        assert!(pending.take("a", "mine", now).is_none(), "once");
        assert!(pending.take("b", "other", now).is_none());
        assert!(pending.take("b", "mine", now).is_none(), "who guessed wrong has spent it");
        assert!(pending.take("c", "mine", now + LIFETIME).is_none());
    }

    #[test]
    fn there_are_so_many_and_the_first_give_way() {
        let (pending, now) = (Pending::default(), Instant::now());
        for state in 0..=MOST {
            pending.add(&state.to_string(), way("mine"), now);
        }
        assert_eq!(pending.0.lock().order.len(), MOST);
        assert!(pending.take("0", "mine", now).is_none());
        assert!(pending.take(&MOST.to_string(), "mine", now).is_some());
        pending.add("late", way("mine"), now + LIFETIME);
        let inner = pending.0.lock();
        assert_eq!((inner.order.len(), inner.ways.len()), (1, 1));
    }
}
