//! Listeners: where connections come in, and the limits that count before
//! anything else is done for them.

mod tcp;

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::broker::Core;
use crate::threads::Hands;

/// How many connections there are, in all and per address.
#[derive(Default)]
pub(crate) struct Places {
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: FxHashMap<IpAddr, usize>,
}

/// One connection's place; given back when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    core: Arc<Core>,
    address: IpAddr,
}

/// Accepts on all listeners until the broker stops.
pub(crate) fn accept_all(core: &Arc<Core>, listeners: Vec<std::net::TcpListener>, hands: &Hands) {
    let places = Arc::new(Places::default());
    for listener in listeners {
        tokio::spawn(tcp::accept(core.clone(), listener, hands.clone(), places.clone()));
    }
}

impl Places {
    /// A place for one more connection, if there is one.
    pub(crate) fn take(self: &Arc<Self>, core: &Arc<Core>, address: IpAddr) -> Option<Place> {
        let mut taken = self.taken.lock();
        let from_there = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.all >= core.options.max_connections
            || from_there >= core.options.max_connections_per_address
        {
            core.counters.connections_refused.one();
            return None;
        }
        taken.all += 1;
        *taken.by_address.entry(address).or_default() += 1;
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
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}
