//! How many connections there may be.

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::broker::Core;

/// How many connections there are, in all and per address.
#[derive(Debug, Default)]
pub(crate) struct Places {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: FxHashMap<IpAddr, usize>,
}

/// One connection's place; given back when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    core: Arc<Core>,
    address: Option<IpAddr>,
}

impl Places {
    /// A place for one more connection, if there is one.
    pub(super) fn take(
        self: &Arc<Self>,
        core: &Arc<Core>,
        address: Option<IpAddr>,
    ) -> Option<Place> {
        let mut taken = self.taken.lock();
        let from_there = address.and_then(|address| taken.by_address.get(&address).copied());
        if taken.all >= core.options.max_connections
            || from_there.unwrap_or(0) >= core.options.max_connections_per_address
        {
            core.counters.connections_refused.one();
            return None;
        }
        taken.all += 1;
        if let Some(address) = address {
            *taken.by_address.entry(address).or_default() += 1;
        }
        core.counters.connections.add(1);
        core.counters.connections_accepted.one();
        Some(Place { places: self.clone(), core: core.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.core.counters.connections.sub(1);
        let mut taken = self.places.taken.lock();
        taken.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(count) = taken.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}
