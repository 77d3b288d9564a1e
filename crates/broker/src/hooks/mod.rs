//! The hooks of a broker, sorted by what they want to see, so that what
//! nobody wants to see costs nothing.

mod intercept;
mod notice;
mod secrets;
mod tells;

use std::fmt;
use std::sync::Arc;

pub(crate) use intercept::{Panicked, call};
pub(crate) use notice::Notice;
pub(crate) use secrets::without_secrets;
pub(crate) use tells::Tells;

use crate::{ClientInfo, Interceptor, Interests, Observer, Steps};

/// All hooks but the one that decides.
#[derive(Default)]
pub(crate) struct Hooks {
    observers: Vec<(Arc<dyn Observer>, Interests)>,
    /// What any observer wants.
    pub(crate) wants: Interests,
    interceptors: Vec<(Arc<dyn Interceptor>, Steps)>,
    /// Where any interceptor is asked.
    pub(crate) steps: Steps,
}

impl Hooks {
    pub(crate) fn new(
        observers: Vec<Arc<dyn Observer>>,
        interceptors: Vec<Arc<dyn Interceptor>>,
    ) -> Self {
        let ask = |observer: Arc<dyn Observer>| {
            let interests = observer.interests();
            (observer, interests)
        };
        let observers: Vec<_> = observers.into_iter().map(ask).collect();
        let wants = observers.iter().fold(Interests::NONE, |all, (_, wants)| all.or(*wants));
        let ask = |interceptor: Arc<dyn Interceptor>| {
            let steps = interceptor.steps();
            (interceptor, steps)
        };
        let interceptors: Vec<_> = interceptors.into_iter().map(ask).collect();
        let steps = interceptors.iter().fold(Steps::NONE, |all, (_, steps)| all.or(*steps));
        Self { observers, wants, interceptors, steps }
    }

    /// What a session tells of itself.
    pub(crate) fn tells(self: &Arc<Self>, client: &Arc<ClientInfo>) -> Tells {
        Tells::new(self, client)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("observers", &self.observers.len())
            .field("interceptors", &self.interceptors.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Publication;

    struct Quiet;

    impl Observer for Quiet {
        fn interests(&self) -> Interests {
            Interests::NONE
        }
    }

    impl Interceptor for Quiet {
        fn steps(&self) -> Steps {
            Steps::NONE
        }
    }

    struct Loud;

    impl Observer for Loud {
        fn published(&self, _: Option<&Arc<ClientInfo>>, _: &Publication) {}
    }

    fn client() -> Arc<ClientInfo> {
        Arc::new(ClientInfo {
            client_id: "door".into(),
            identity: "door".into(),
            address: None,
            certificate: None,
            version: latchlight_mqtt::ProtocolVersion::V5,
            connected_at: std::time::SystemTime::UNIX_EPOCH,
        })
    }

    #[test]
    fn what_nobody_asks_for_has_no_place_on_the_way_of_a_message() {
        for hooks in [Hooks::default(), Hooks::new(vec![Arc::new(Quiet)], vec![Arc::new(Quiet)])] {
            assert_eq!((hooks.wants, hooks.steps), (Interests::NONE, Steps::NONE));
            let tells = Arc::new(hooks).tells(&client());
            assert!(tells.is_empty() && !tells.of_packets() && !tells.of_exchanges());
        }
    }

    #[test]
    fn who_says_nothing_of_its_interests_is_told_everything() {
        let hooks = Hooks::new(vec![Arc::new(Quiet), Arc::new(Loud)], Vec::new());
        assert_eq!((hooks.wants, hooks.steps), (Interests::ALL, Steps::NONE));
        let tells = Arc::new(hooks).tells(&client());
        assert!(tells.of_packets() && tells.of_exchanges());
    }
}
