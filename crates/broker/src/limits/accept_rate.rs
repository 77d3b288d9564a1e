//! How many connections are accepted in a time, before anything is done for
//! them.

use super::network::Network;
use super::pace::Pace;
use crate::{Options, Time};

/// For how long a rate is looked at, in ms: ten seconds' worth may come at
/// once.
const PERIOD: Time = 10_000;

/// The rates, in all and per address.
#[derive(Debug)]
pub(crate) struct AcceptRate {
    all: Option<Pace<()>>,
    by_network: Option<Pace<Network>>,
}

impl AcceptRate {
    pub(crate) fn new(options: &Options) -> Self {
        fn pace<K: std::hash::Hash + Eq>(rate: u32) -> Option<Pace<K>> {
            (rate > 0).then(|| Pace::new(u64::from(rate) * (PERIOD / 1000), PERIOD))
        }
        Self {
            all: pace(options.max_accept_rate),
            by_network: pace(options.max_accept_rate_per_address),
        }
    }

    /// Counts one more connection, if there may be one. Who comes too often
    /// takes nothing from the others.
    pub(crate) fn allows(&mut self, network: Network, now: Time) -> bool {
        let from_there = self.by_network.as_mut().is_none_or(|pace| pace.allows(network, now));
        from_there && self.all.as_mut().is_none_or(|pace| pace.allows((), now))
    }
}
