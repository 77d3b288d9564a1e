//! How often somebody may fail to sign in, by name and by address (C17). Who
//! succeeds is never held up by it: only failures count.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How many failures a name may have at once, and how long it takes until one
/// of them is forgotten.
const OF_NAME: Allowance = Allowance { failures: 10, each: Duration::from_secs(6) };

/// The same of an address. An IPv6 /64 is one.
const OF_ADDRESS: Allowance = Allowance { failures: 30, each: Duration::from_secs(2) };

/// How many names, and how many addresses, are remembered: beyond it the ones
/// that have failed longest ago are forgotten.
const REMEMBERED: usize = 10_000;

#[derive(Clone, Copy)]
struct Allowance {
    failures: u32,
    each: Duration,
}

/// The failures to sign in.
#[derive(Default)]
pub struct Failures {
    failed: Mutex<Failed>,
}

#[derive(Default)]
struct Failed {
    of_names: HashMap<String, Instant>,
    of_addresses: HashMap<IpAddr, Instant>,
}

/// Too many have failed: nothing is looked at for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// Somebody who signs in: it counts as a failure until it succeeds.
pub struct Attempt<'a> {
    all: &'a Failures,
    name: String,
    address: Option<IpAddr>,
}

impl Failures {
    /// Somebody begins to sign in.
    ///
    /// # Errors
    /// This name, or this address, has failed too often.
    pub fn begin(&self, name: &str, address: Option<IpAddr>) -> Result<Attempt<'_>, TooMany> {
        self.begin_at(name, address, Instant::now())
    }

    fn begin_at(
        &self,
        name: &str,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<Attempt<'_>, TooMany> {
        let name: String = name.chars().take(64).map(|c| c.to_ascii_lowercase()).collect();
        let address = address.map(network);
        let mut failed = self.failed.lock();
        let Failed { of_names, of_addresses } = &mut *failed;
        let is_too_much = |until: Option<&Instant>, allowance: Allowance| {
            let owed = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            owed > allowance.each * (allowance.failures - 1)
        };
        let by_address = address.as_ref().and_then(|address| of_addresses.get(address));
        if is_too_much(of_names.get(&name), OF_NAME) || is_too_much(by_address, OF_ADDRESS) {
            return Err(TooMany);
        }
        count(of_names, name.clone(), OF_NAME, now);
        if let Some(address) = address {
            count(of_addresses, address, OF_ADDRESS, now);
        }
        drop(failed);
        Ok(Attempt { all: self, name, address })
    }
}

impl Attempt<'_> {
    /// It was no failure.
    pub fn succeed(self) {
        let mut failed = self.all.failed.lock();
        if let Some(until) = failed.of_names.get_mut(&self.name) {
            *until = until.checked_sub(OF_NAME.each).unwrap_or(*until);
        }
        let until = self.address.and_then(|address| failed.of_addresses.get_mut(&address));
        if let Some(until) = until {
            *until = until.checked_sub(OF_ADDRESS.each).unwrap_or(*until);
        }
    }
}

/// One more failure; all are forgotten at the moment that is kept.
fn count<K: std::hash::Hash + Eq + Clone>(
    all: &mut HashMap<K, Instant>,
    key: K,
    allowance: Allowance,
    now: Instant,
) {
    if all.len() >= REMEMBERED && !all.contains_key(&key) {
        all.retain(|_, until| *until > now);
    }
    if all.len() >= REMEMBERED && !all.contains_key(&key) {
        let oldest = all.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone());
        oldest.and_then(|oldest| all.remove(&oldest));
    }
    let until = all.entry(key).or_insert(now);
    *until = (*until).max(now) + allowance.each;
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        v4 => v4,
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
    fn c17_a_name_may_fail_so_often_from_wherever_and_no_other_name_is_concerned() {
        let (failures, now) = (Failures::default(), Instant::now());
        for host in 0..OF_NAME.failures {
            let from = address(&format!("192.0.2.{host}"));
            assert!(failures.begin_at("Ada", from, now).is_ok());
        }
        assert!(failures.begin_at("ada", address("198.51.100.1"), now).is_err());
        assert!(failures.begin_at("bob", address("192.0.2.1"), now).is_ok());
        assert!(failures.begin_at("ada", None, now + OF_NAME.each).is_ok());
        assert!(failures.begin_at("ada", None, now + OF_NAME.each).is_err());
    }

    #[test]
    fn c17_an_address_may_fail_so_often_by_whatever_name() {
        let (failures, now) = (Failures::default(), Instant::now());
        for name in 0..OF_ADDRESS.failures {
            let from = address(&format!("2001:db8::{name:x}"));
            assert!(failures.begin_at(&name.to_string(), from, now).is_ok());
        }
        assert!(failures.begin_at("one more", address("2001:db8::ffff"), now).is_err());
        assert!(failures.begin_at("one more", address("2001:db8:0:1::1"), now).is_ok());
    }

    #[test]
    fn who_succeeds_may_do_so_as_often_as_it_likes() {
        let (failures, now) = (Failures::default(), Instant::now());
        for _ in 0..1000 {
            failures.begin_at("ada", address("192.0.2.1"), now).unwrap().succeed();
        }
    }

    #[test]
    fn only_so_many_are_remembered() {
        let (failures, now) = (Failures::default(), Instant::now());
        for name in 0..=REMEMBERED {
            let attempt = failures.begin_at(&name.to_string(), None, now);
            drop(attempt.unwrap());
        }
        assert_eq!(failures.failed.lock().of_names.len(), REMEMBERED);
    }
}
