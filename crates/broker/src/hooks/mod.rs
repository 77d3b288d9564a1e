//! The hooks of a broker, sorted by what they want to see, so that what
//! nobody wants to see costs nothing.

mod notice;
mod secrets;
mod tells;

use std::fmt;
use std::sync::Arc;

pub(crate) use notice::Notice;
pub(crate) use secrets::without_secrets;
pub(crate) use tells::Tells;

use crate::{ClientInfo, Interests, Observer};

/// All hooks but the one that decides.
#[derive(Default)]
pub(crate) struct Hooks {
    observers: Vec<(Arc<dyn Observer>, Interests)>,
    /// What any observer wants.
    pub(crate) wants: Interests,
}

impl Hooks {
    pub(crate) fn new(observers: Vec<Arc<dyn Observer>>) -> Self {
        let ask = |observer: Arc<dyn Observer>| {
            let interests = observer.interests();
            (observer, interests)
        };
        let observers: Vec<_> = observers.into_iter().map(ask).collect();
        let wants = observers.iter().fold(Interests::NONE, |all, (_, wants)| all.or(*wants));
        Self { observers, wants }
    }

    /// What a session tells of itself.
    pub(crate) fn tells(self: &Arc<Self>, client: &Arc<ClientInfo>) -> Tells {
        Tells::new(self, client)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("observers", &self.observers.len()).finish_non_exhaustive()
    }
}
