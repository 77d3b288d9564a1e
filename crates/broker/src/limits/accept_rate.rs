//! How many connections are accepted in a time, before anything is done for
//! them.

use super::network::Network;
use super::pace::Pace;
use crate::Time;

/// For how long a rate is looked at, in ms: ten seconds' worth may come at
/// once.
const PERIOD: Time = 10_000;

/// How many connections are accepted, in all and per address: each of the
/// broker's own listeners goes by one, and so can another server of the same
/// program.
#[derive(Debug)]
pub struct AcceptRate {
    all: Option<Pace<()>>,
    by_network: Option<Pace<Network>>,
}

impl AcceptRate {
    /// Connections per second, ten seconds' worth of which may come at once;
    /// 0: any number.
    pub fn new(all: u32, per_address: u32) -> Self {
        fn pace<K: std::hash::Hash + Eq>(rate: u32) -> Option<Pace<K>> {
            (rate > 0).then(|| Pace::new(u64::from(rate) * (PERIOD / 1000), PERIOD))
        }
        Self { all: pace(all), by_network: pace(per_address) }
    }

    /// Counts one more connection, if there may be one at this time, in ms from
    /// any beginning. Who comes too often takes nothing from the others.
    pub fn allows(&mut self, network: Network, now: Time) -> bool {
        let from_there = self.by_network.as_mut().is_none_or(|pace| pace.allows(network, now));
        from_there && self.all.as_mut().is_none_or(|pace| pace.allows((), now))
    }
}
