//! How many connections there may be, and how many TLS handshakes.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::Options;
use crate::broker::Core;
use crate::limits::{AcceptRate, Network};

/// How many there are, in all and per address, and how fast they come.
#[derive(Debug)]
pub(crate) struct Places {
    rate: Mutex<AcceptRate>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: Count,
    /// As many as there are connections, at the most.
    by_network: FxHashMap<Network, Count>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    connections: usize,
    /// Those of them that have not finished their TLS handshake.
    handshakes: usize,
}

/// One connection's place; given back when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    core: Arc<Core>,
    network: Option<Network>,
    is_handshake: bool,
}

impl Places {
    pub(super) fn new(options: &Options) -> Self {
        let rate = AcceptRate::new(options.max_accept_rate, options.max_accept_rate_per_address);
        Self { rate: Mutex::new(rate), taken: Mutex::default() }
    }

    /// Whether one more may come from there now (C15).
    fn may_come(&self, core: &Core, address: Option<SocketAddr>) -> bool {
        let Some(network) = core.bans.network(address) else { return true };
        let now = core.clock.now();
        if core.bans.is_network_banned(network, now) {
            core.counters.refused_banned.one();
            return false;
        }
        let may_come = self.rate.lock().allows(network, now);
        if !may_come {
            core.counters.refused_rate.one();
        }
        may_come
    }

    /// A place for one more connection, if there is one.
    pub(super) fn take(
        self: &Arc<Self>,
        core: &Arc<Core>,
        address: Option<SocketAddr>,
        is_handshake: bool,
    ) -> Option<Place> {
        if !self.may_come(core, address) {
            core.counters.connections_refused.one();
            return None;
        }
        let Options { max_connections, max_connections_per_address, .. } = core.options;
        let Options { max_handshakes, max_handshakes_per_address, .. } = core.options;
        let mut taken = self.taken.lock();
        let network = address.map(|address| Network::from(address.ip()));
        let from_there = network.and_then(|network| taken.by_network.get(&network).copied());
        let from_there = from_there.unwrap_or_default();
        if taken.all.connections >= max_connections
            || from_there.connections >= max_connections_per_address
        {
            core.counters.connections_refused.one();
            return None;
        }
        if is_handshake
            && (taken.all.handshakes >= max_handshakes
                || from_there.handshakes >= max_handshakes_per_address)
        {
            core.counters.connections_refused.one();
            core.counters.handshakes_refused.one();
            return None;
        }
        taken.all.add(is_handshake);
        if let Some(network) = network {
            taken.by_network.entry(network).or_default().add(is_handshake);
        }
        core.counters.connections.add(1);
        core.counters.connections_accepted.one();
        Some(Place { places: self.clone(), core: core.clone(), network, is_handshake })
    }
}

impl Count {
    fn add(&mut self, is_handshake: bool) {
        self.connections += 1;
        self.handshakes += usize::from(is_handshake);
    }
}

impl Place {
    /// The TLS handshake is over, if there was one.
    pub(super) fn has_shaken_hands(&mut self) {
        if !std::mem::take(&mut self.is_handshake) {
            return;
        }
        let mut taken = self.places.taken.lock();
        taken.all.handshakes -= 1;
        let from_there = self.network.and_then(|network| taken.by_network.get_mut(&network));
        if let Some(from_there) = from_there {
            from_there.handshakes -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.has_shaken_hands();
        self.core.counters.connections.sub(1);
        let mut taken = self.places.taken.lock();
        taken.all.connections -= 1;
        let Some(network) = self.network else { return };
        if let Some(from_there) = taken.by_network.get_mut(&network) {
            from_there.connections -= 1;
            if from_there.connections == 0 {
                taken.by_network.remove(&network);
            }
        }
    }
}
