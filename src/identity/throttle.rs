//! How often somebody may try to sign in (SAFETY C17).

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use latchlight_broker::Network;
use parking_lot::Mutex;
use quick_cache::sync::Cache;

use super::tally::{Allowance, Tally};

/// From how many addresses, and to how many accounts, attempts are remembered.
/// When there are more, those are forgotten who have tried least: nobody is
/// refused because others are many.
const REMEMBERED: usize = 100_000;

/// Of how many accounts and addresses it is remembered that one was let in from
/// the other; what was used least gives way.
const AT_HOME: usize = 10_000;

const OF_ADDRESS: Allowance = Allowance { at_once: 30, each: Duration::from_secs(2) };
/// What one address takes of an account leaves others their attempts.
const OF_ACCOUNT_FROM_ADDRESS: Allowance = Allowance { at_once: 10, each: Duration::from_secs(10) };
const OF_ACCOUNT: Allowance = Allowance { at_once: 50, each: Duration::from_secs(5) };
/// Refresh tokens are not guessed; this is for the database.
const REFRESHES_OF_ADDRESS: Allowance = Allowance { at_once: 120, each: Duration::from_secs(1) };

/// Each sets somebody out for the provider, or asks it something.
const AT_PROVIDER_FROM_ADDRESS: Allowance = Allowance { at_once: 30, each: Duration::from_secs(3) };

/// Counts attempts, whether they succeed or not: who is told that it would have
/// been the right password knows it.
pub(super) struct Throttle {
    tallies: Mutex<Tallies>,
    /// Who was let in from where: what others try of an account from elsewhere
    /// does not hold them up there.
    at_home: Cache<u64, ()>,
    hasher: RandomState,
}

struct Tallies {
    of_address: Tally,
    of_account_from_address: Tally,
    of_account: Tally,
    refreshes: Tally,
    at_provider: Tally,
}

/// Too much at once: not before so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooSoon(pub(super) Duration);

impl Default for Throttle {
    fn default() -> Self {
        Self::remembering(REMEMBERED)
    }
}

impl Throttle {
    fn remembering(most: usize) -> Self {
        let tally = |allowance| Tally::new(allowance, most);
        let tallies = Tallies {
            of_address: tally(OF_ADDRESS),
            of_account_from_address: tally(OF_ACCOUNT_FROM_ADDRESS),
            of_account: tally(OF_ACCOUNT),
            refreshes: tally(REFRESHES_OF_ADDRESS),
            at_provider: tally(AT_PROVIDER_FROM_ADDRESS),
        };
        let (tallies, at_home) = (Mutex::new(tallies), Cache::new(AT_HOME));
        Self { tallies, at_home, hasher: RandomState::new() }
    }

    /// An attempt to be let in as this account, whether there is one or not.
    pub(super) fn sign_in(&self, account: &str, address: Option<IpAddr>) -> Result<(), TooSoon> {
        let (account, from) = (account.to_ascii_lowercase(), address.map(Network::from));
        let now = Instant::now();
        let mut tallies = self.tallies.lock();
        let Tallies { of_address, of_account_from_address, of_account, .. } = &mut *tallies;
        of_address.take(&from, now)?;
        of_account_from_address.take(&(&account, from), now)?;
        if !self.is_at_home(&account, from) {
            of_account.take(&account, now)?;
        }
        Ok(())
    }

    /// Somebody was let in as this account, from there.
    pub(super) fn let_in(&self, account: &str, address: Option<IpAddr>) {
        let account = account.to_ascii_lowercase();
        self.at_home.insert(self.place(&account, address.map(Network::from)), ());
    }

    /// An attempt to use a refresh token.
    pub(super) fn refresh(&self, address: Option<IpAddr>) -> Result<(), TooSoon> {
        let from = address.map(Network::from);
        Ok(self.tallies.lock().refreshes.take(&from, Instant::now())?)
    }

    /// An attempt to sign in through the provider: its beginning, or its end.
    pub(super) fn provider(&self, address: Option<IpAddr>) -> Result<(), TooSoon> {
        let from = address.map(Network::from);
        Ok(self.tallies.lock().at_provider.take(&from, Instant::now())?)
    }

    /// Whether this account was let in from there, or it is this very machine:
    /// that is how an owner comes in whom the whole world keeps out. Behind a
    /// proxy that is not trusted everybody is of this machine, and then what one
    /// address may try of an account is less than what all may.
    fn is_at_home(&self, account: &str, from: Option<Network>) -> bool {
        from.is_none_or(|network| network.is_loopback())
            || self.at_home.get(&self.place(account, from)).is_some()
    }

    fn place(&self, account: &str, from: Option<Network>) -> u64 {
        self.hasher.hash_one((account, from))
    }
}

impl From<Duration> for TooSoon {
    fn from(wait: Duration) -> Self {
        Self(wait)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn c17_one_address_does_not_shut_an_account_for_others() {
        let throttle = Throttle::default();
        let evil = address("192.0.2.1");
        let tries = (0..1000).filter(|_| throttle.sign_in("Ada", evil).is_ok()).count();
        assert_eq!(tries, 10);
        let TooSoon(wait) = throttle.sign_in("ada", evil).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(10), "{wait:?}");
        assert_eq!(throttle.sign_in("ada", address("192.0.2.2")), Ok(()));
        assert_eq!(throttle.sign_in("bob", address("192.0.2.2")), Ok(()));
    }

    #[test]
    fn c17_one_address_tries_few_accounts() {
        let throttle = Throttle::default();
        let tries = |n| throttle.sign_in(&format!("user{n}"), address("192.0.2.1")).is_ok();
        assert_eq!((0..1000).filter(|n| tries(*n)).count(), 30);
    }

    #[test]
    fn c17_many_addresses_try_one_account_seldom() {
        let throttle = Throttle::default();
        let tries = |n: u32| {
            let from = IpAddr::from(std::net::Ipv4Addr::from(0x0A00_0000 + n));
            throttle.sign_in("ada", Some(from)).is_ok()
        };
        assert_eq!((0..1000).filter(|n| tries(*n)).count(), 50);
    }

    #[test]
    fn c17_many_addresses_do_not_shut_out_who_was_let_in_from_theirs() {
        let throttle = Throttle::default();
        let home = address("192.0.2.1");
        throttle.sign_in("ada", home).unwrap();
        throttle.let_in("Ada", home);
        for n in 0..100 {
            let from = IpAddr::from(std::net::Ipv4Addr::from(0x0A00_0000 + n));
            let _ = throttle.sign_in("ada", Some(from));
        }
        assert!(throttle.sign_in("ada", address("198.51.100.1")).is_err());
        assert_eq!(throttle.sign_in("ADA", home), Ok(()));
        let tries = (0..100).filter(|_| throttle.sign_in("ada", home).is_ok()).count();
        assert_eq!(tries, 8, "though not without an end");
    }

    #[test]
    fn c17_whoever_has_a_network_has_one_address() {
        let throttle = Throttle::default();
        let tries = |n: u32| throttle.sign_in("ada", address(&format!("2001:db8::{n:x}"))).is_ok();
        assert_eq!((0..100).filter(|n| tries(*n)).count(), 10);
        assert!(throttle.sign_in("ada", address("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn c17_who_tries_from_more_addresses_than_are_remembered_shuts_nobody_out() {
        let throttle = Throttle::remembering(1000);
        let evil = |n: u32| address(&format!("2001:db8:{:x}:{:x}::1", n >> 16, n & 0xFFFF));
        let first = evil(0);
        for account in 0..30 {
            throttle.sign_in(&format!("user{account}"), first).unwrap();
        }
        for n in 1..5000 {
            let _ = throttle.sign_in(&format!("user{n}"), evil(n));
        }
        let tallies = throttle.tallies.lock();
        assert!(tallies.of_address.len() <= 1000 && tallies.of_account.len() <= 1000);
        drop(tallies);
        assert_eq!(throttle.sign_in("ada", address("192.0.2.1")), Ok(()), "a new address");
        assert_eq!(throttle.sign_in("user1", evil(1)), Ok(()), "one that came before");
        assert!(throttle.sign_in("ada", first).is_err(), "who has had its fill has had it");
    }

    #[test]
    fn c17_the_world_does_not_keep_out_whoever_sits_at_the_machine() {
        let throttle = Throttle::default();
        for n in 0..100 {
            let from = IpAddr::from(std::net::Ipv4Addr::from(0x0A00_0000 + n));
            let _ = throttle.sign_in("ada", Some(from));
        }
        assert!(throttle.sign_in("ada", address("198.51.100.1")).is_err());
        let tries = (0..100).filter(|_| throttle.sign_in("ada", address("::1")).is_ok()).count();
        assert_eq!(tries, 10, "though not without an end");
    }
}
