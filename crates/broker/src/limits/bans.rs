//! Who is not let in for a while: addresses whose connections fail too often,
//! and clients that connect too often (C15).

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::SocketAddr;

use latchlight_mqtt::ReasonCode;
use parking_lot::Mutex;

use super::network::Network;
use super::pace::Pace;
use crate::counters::Counters;
use crate::shown::shown;
use crate::{Options, Time};

/// For how long is looked at how often somebody does something, in ms.
const PERIOD: Time = 60_000;

/// How many bans of a kind there may be. Beyond that nobody is banned: the
/// rates hold all the same.
const MOST: usize = 64 * 1024;

/// Whose doing it is that a connection was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    Client,
    Broker,
}

/// Whom to keep out, and whom soon. Without bans, nothing is kept.
#[derive(Debug)]
pub(crate) struct Bans {
    options: BanOptions,
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Debug)]
struct BanOptions {
    time: Time,
    failures: u32,
    connects: u32,
    loopback: bool,
}

#[derive(Debug)]
struct State {
    failures: Pace<Network>,
    connects: Pace<u64>,
    networks: Banned<Network>,
    clients: Banned<u64>,
}

/// Until when somebody is banned.
#[derive(Debug)]
struct Banned<K>(HashMap<K, Time>);

impl Bans {
    pub(crate) fn new(options: &Options) -> Self {
        let (failures, connects) =
            (options.max_failures_per_address, options.max_connects_per_client);
        let state = State {
            failures: Pace::new(failures.into(), PERIOD),
            connects: Pace::new(connects.into(), PERIOD),
            networks: Banned::default(),
            clients: Banned::default(),
        };
        let options = BanOptions {
            time: u64::try_from(options.ban_time.as_millis()).unwrap_or(u64::MAX),
            failures,
            connects,
            loopback: options.limit_loopback,
        };
        Self { options, hasher: RandomState::new(), state: Mutex::new(state) }
    }

    /// Whom rates and bans hold for; nothing: they do not.
    pub(crate) fn network(&self, address: Option<SocketAddr>) -> Option<Network> {
        let network = Network::from(address?.ip());
        (self.options.loopback || !network.is_loopback()).then_some(network)
    }

    pub(crate) fn is_network_banned(&self, network: Network, now: Time) -> bool {
        self.options.failures > 0 && self.state.lock().networks.has(&network, now)
    }

    /// A connection from there was not let in, and it is to blame for it.
    pub(crate) fn failed(&self, address: Option<SocketAddr>, now: Time, counters: &Counters) {
        let Some(network) = self.network(address).filter(|_| self.options.failures > 0) else {
            return;
        };
        let mut state = self.state.lock();
        if state.failures.allows(network, now) {
            return;
        }
        state.failures.forget(&network);
        if state.networks.add(network, now, self.options.time) {
            counters.bans.one();
            let seconds = self.options.time / 1000;
            tracing::warn!(%network, seconds, "banned: its connections fail too often");
        }
    }

    /// Whether a client may not connect for now: by its id and where it comes
    /// from, so that nobody can have another one banned.
    pub(crate) fn is_client_banned(
        &self,
        client_id: &str,
        address: Option<SocketAddr>,
        now: Time,
    ) -> bool {
        let key = self.client(client_id, address);
        key.is_some_and(|key| self.state.lock().clients.has(&key, now))
    }

    /// A client was let in.
    pub(crate) fn connected(
        &self,
        client_id: &str,
        address: Option<SocketAddr>,
        now: Time,
        counters: &Counters,
    ) {
        let Some(key) = self.client(client_id, address) else { return };
        let mut state = self.state.lock();
        if state.connects.allows(key, now) {
            return;
        }
        state.connects.forget(&key);
        if state.clients.add(key, now, self.options.time) {
            counters.bans.one();
            let seconds = self.options.time / 1000;
            let client = shown(client_id);
            tracing::warn!(client, ?address, seconds, "banned: it connects too often");
        }
    }

    /// What stands for a client: ids may be long.
    fn client(&self, client_id: &str, address: Option<SocketAddr>) -> Option<u64> {
        let network = self.network(address).filter(|_| self.options.connects > 0)?;
        // Who has no id gets another one each time.
        (!client_id.is_empty()).then(|| self.hasher.hash_one((client_id, network)))
    }
}

impl Blame {
    /// Whose doing it is that a CONNECT was refused for this reason.
    pub(crate) fn of(reason: ReasonCode) -> Self {
        use ReasonCode::{
            Banned, ConnectionRateExceeded, ImplementationSpecificError, QuotaExceeded, ServerBusy,
            ServerMoved, ServerShuttingDown, ServerUnavailable, UnspecifiedError, UseAnotherServer,
        };
        match reason {
            Banned
            | ConnectionRateExceeded
            | ImplementationSpecificError
            | QuotaExceeded
            | ServerBusy
            | ServerMoved
            | ServerShuttingDown
            | ServerUnavailable
            | UnspecifiedError
            | UseAnotherServer => Self::Broker,
            _ => Self::Client,
        }
    }
}

impl<K> Default for Banned<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq> Banned<K> {
    fn has(&mut self, key: &K, now: Time) -> bool {
        match self.0.get(key) {
            Some(until) if *until > now => true,
            Some(_) => {
                self.0.remove(key);
                false
            }
            None => false,
        }
    }

    /// False: there are too many.
    fn add(&mut self, key: K, now: Time, time: Time) -> bool {
        if self.0.len() >= MOST {
            self.0.retain(|_, until| *until > now);
        }
        let has_room = self.0.len() < MOST;
        if has_room {
            self.0.insert(key, now.saturating_add(time));
        }
        has_room
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bans() -> (Bans, Counters) {
        let options = Options {
            max_failures_per_address: 3,
            max_connects_per_client: 3,
            ban_time: Duration::from_secs(10),
            ..Options::default()
        };
        (Bans::new(&options), Counters::default())
    }

    fn from(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_that_fails_too_often_is_banned_for_a_while() {
        let (bans, counters) = bans();
        let (bad, good) = (from("192.0.2.1:5"), from("192.0.2.2:5"));
        let is_banned = |address, now| bans.is_network_banned(bans.network(address).unwrap(), now);
        for _ in 0..3 {
            bans.failed(bad, 1000, &counters);
        }
        assert!(!is_banned(bad, 1000));
        bans.failed(bad, 1000, &counters);
        assert!(is_banned(bad, 1000) && is_banned(bad, 10_999) && !is_banned(good, 1000));
        assert!(!is_banned(bad, 11_000));
        // It begins anew.
        bans.failed(bad, 11_000, &counters);
        assert!(!is_banned(bad, 11_000));
        assert_eq!(counters.bans.get(), 1);
    }

    #[test]
    fn a_client_that_connects_too_often_is_banned_where_it_comes_from() {
        let (bans, counters) = bans();
        let (here, there) = (from("192.0.2.1:5"), from("192.0.2.2:5"));
        for _ in 0..4 {
            bans.connected("door", here, 1000, &counters);
            bans.connected("", here, 1000, &counters);
        }
        assert!(bans.is_client_banned("door", from("192.0.2.1:6"), 1000));
        assert!(!bans.is_client_banned("door", there, 1000));
        assert!(!bans.is_client_banned("window", here, 1000));
        assert!(!bans.is_client_banned("", here, 1000));
        assert!(!bans.is_client_banned("door", here, 11_000));
    }

    #[test]
    fn what_is_local_is_never_banned_unless_asked_for() {
        let (bans, counters) = bans();
        for address in [None, from("127.0.0.1:1"), from("[::1]:1")] {
            for _ in 0..10 {
                bans.failed(address, 1000, &counters);
                bans.connected("door", address, 1000, &counters);
            }
            assert_eq!(bans.network(address), None);
            assert!(!bans.is_client_banned("door", address, 1000));
        }
        assert_eq!(counters.bans.get(), 0);
    }

    #[test]
    fn bans_without_number_take_no_memory_without_bound() {
        let mut banned = Banned::default();
        assert!((0..MOST).all(|key| banned.add(key, 0, 10)));
        assert!(!banned.add(MOST, 9, 10));
        assert!(banned.add(MOST, 10, 10));
        assert_eq!(banned.0.len(), 1);
    }
}
