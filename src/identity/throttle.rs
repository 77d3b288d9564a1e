//! How often somebody may try to sign in (SAFETY C17).

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use latchlight_broker::Network;
use quick_cache::sync::Cache;

/// From how many addresses, and to how many accounts, attempts are remembered;
/// when there are more, nobody new may try until the oldest are forgotten.
const REMEMBERED: usize = 100_000;

/// Of how many accounts and addresses it is remembered that one was let in from
/// the other; what was used least gives way.
const AT_HOME: usize = 10_000;

/// So many at once, and then one each so often.
const OF_ADDRESS: (u32, Duration) = (30, Duration::from_secs(2));
/// What one address takes of an account leaves others their attempts.
const OF_ACCOUNT_FROM_ADDRESS: (u32, Duration) = (10, Duration::from_secs(10));
const OF_ACCOUNT: (u32, Duration) = (50, Duration::from_secs(5));
/// Refresh tokens are not guessed; this is for the database.
const REFRESHES_OF_ADDRESS: (u32, Duration) = (120, Duration::from_secs(1));

/// Each sets somebody out for the provider, or asks it something.
const AT_PROVIDER_FROM_ADDRESS: (u32, Duration) = (30, Duration::from_secs(3));

/// Counts attempts, whether they succeed or not: who is told that it would have
/// been the right password knows it.
pub(super) struct Throttle {
    of_address: Limiter,
    of_account_from_address: Limiter,
    of_account: Limiter,
    refreshes: Limiter,
    at_provider: Limiter,
    /// Who was let in from where: what others try of an account from elsewhere
    /// does not hold them up there.
    at_home: Cache<u64, ()>,
    /// What an attempt is counted by is no longer than this, whatever was sent.
    hasher: RandomState,
}

type Limiter = DefaultKeyedRateLimiter<u64>;

/// Too much at once: not before so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooSoon(pub(super) Duration);

impl Default for Throttle {
    fn default() -> Self {
        Self {
            of_address: limiter(OF_ADDRESS),
            of_account_from_address: limiter(OF_ACCOUNT_FROM_ADDRESS),
            of_account: limiter(OF_ACCOUNT),
            refreshes: limiter(REFRESHES_OF_ADDRESS),
            at_provider: limiter(AT_PROVIDER_FROM_ADDRESS),
            at_home: Cache::new(AT_HOME),
            hasher: RandomState::new(),
        }
    }
}

impl Throttle {
    /// An attempt to be let in as this account, whether there is one or not.
    pub(super) fn sign_in(&self, account: &str, address: Option<IpAddr>) -> Result<(), TooSoon> {
        let address = address.map(Network::from);
        let account = account.to_ascii_lowercase();
        self.check(&self.of_address, &address)?;
        self.check(&self.of_account_from_address, &(&account, address))?;
        if self.at_home.get(&self.hasher.hash_one((&account, address))).is_some() {
            return Ok(());
        }
        self.check(&self.of_account, &account)
    }

    /// Somebody was let in as this account, from there.
    pub(super) fn let_in(&self, account: &str, address: Option<IpAddr>) {
        let account = account.to_ascii_lowercase();
        self.at_home.insert(self.hasher.hash_one((&account, address.map(Network::from))), ());
    }

    /// An attempt to use a refresh token.
    pub(super) fn refresh(&self, address: Option<IpAddr>) -> Result<(), TooSoon> {
        self.check(&self.refreshes, &address.map(Network::from))
    }

    /// An attempt to sign in through the provider: its beginning, or its end.
    pub(super) fn provider(&self, address: Option<IpAddr>) -> Result<(), TooSoon> {
        self.check(&self.at_provider, &address.map(Network::from))
    }

    fn check(&self, limiter: &Limiter, key: &impl std::hash::Hash) -> Result<(), TooSoon> {
        if limiter.len() >= REMEMBERED {
            limiter.retain_recent();
            if limiter.len() >= REMEMBERED {
                return Err(TooSoon(Duration::from_secs(60)));
            }
        }
        let checked = limiter.check_key(&self.hasher.hash_one(key));
        checked.map_err(|later| TooSoon(later.wait_time_from(DefaultClock::default().now())))
    }

    /// Forgets who has not tried for long.
    pub(super) fn prune(&self) {
        let of_accounts = [&self.of_account_from_address, &self.of_account];
        let of_addresses = [&self.of_address, &self.refreshes, &self.at_provider];
        for limiter in of_accounts.into_iter().chain(of_addresses) {
            limiter.retain_recent();
        }
    }
}

fn limiter((burst, each): (u32, Duration)) -> Limiter {
    let burst = NonZeroU32::new(burst).expect("more than none");
    let quota = Quota::with_period(each).expect("longer than no time");
    RateLimiter::keyed(quota.allow_burst(burst))
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
    fn who_has_not_tried_for_long_is_forgotten() {
        let throttle = Throttle::default();
        throttle.sign_in("ada", None).unwrap();
        throttle.prune();
        assert_eq!(throttle.of_account.len(), 1, "not so soon");
    }
}
