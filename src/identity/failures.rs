//! How often somebody may fail to sign in over MQTT (C17). Who succeeds is not
//! counted: clients connect anew as often as their network has it, and many of
//! a ledger's may have one name.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use latchlight_broker::Network;
use parking_lot::Mutex;

use super::tally::{Allowance, Tally};

/// How many failures an address may have at once, and how long it takes until
/// one of them is forgotten.
const OF_ADDRESS: Allowance = Allowance { at_once: 30, each: Duration::from_secs(2) };

/// The same of a name from one address, which leaves others theirs.
const OF_NAME_FROM_ADDRESS: Allowance = Allowance { at_once: 10, each: Duration::from_secs(10) };

/// The same of a name from everywhere.
const OF_NAME: Allowance = Allowance { at_once: 50, each: Duration::from_secs(5) };

/// How many of each are remembered: beyond it those are forgotten who have
/// failed least.
const REMEMBERED: usize = 10_000;

/// The failures to sign in.
pub struct Failures {
    failed: Mutex<Failed>,
}

struct Failed {
    of_addresses: Tally,
    of_names_from_addresses: Tally,
    of_names: Tally,
}

/// Too many have failed: nothing is looked at for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// Somebody who signs in: it counts as a failure until it succeeds.
pub struct Attempt<'a> {
    all: &'a Failures,
    name: String,
    network: Option<Network>,
}

impl Default for Failures {
    fn default() -> Self {
        let failed = Failed {
            of_addresses: Tally::new(OF_ADDRESS, REMEMBERED),
            of_names_from_addresses: Tally::new(OF_NAME_FROM_ADDRESS, REMEMBERED),
            of_names: Tally::new(OF_NAME, REMEMBERED),
        };
        Self { failed: Mutex::new(failed) }
    }
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
        let network = address.map(Network::from);
        let from = (name.clone(), network);
        let mut failed = self.failed.lock();
        if failed.of_addresses.is_full(&network, now)
            || failed.of_names_from_addresses.is_full(&from, now)
            || failed.of_names.is_full(&name, now)
        {
            return Err(TooMany);
        }
        failed.of_addresses.add(&network, now);
        failed.of_names_from_addresses.add(&from, now);
        failed.of_names.add(&name, now);
        drop(failed);
        Ok(Attempt { all: self, name, network })
    }
}

impl Attempt<'_> {
    /// It was no failure.
    pub fn succeed(self) {
        let mut failed = self.all.failed.lock();
        failed.of_addresses.take_back(&self.network);
        failed.of_names.take_back(&self.name);
        failed.of_names_from_addresses.take_back(&(self.name, self.network));
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
    fn c17_one_address_does_not_shut_a_name_for_others() {
        let (failures, now) = (Failures::default(), Instant::now());
        let evil = address("192.0.2.1");
        let tries = (0..1000).filter(|_| failures.begin_at("Ada", evil, now).is_ok()).count();
        assert_eq!(tries, 10);
        assert!(failures.begin_at("ada", address("192.0.2.2"), now).is_ok());
        assert!(failures.begin_at("bob", evil, now).is_ok());
        let later = now + OF_NAME_FROM_ADDRESS.each;
        assert!(failures.begin_at("ada", evil, later).is_ok());
        assert!(failures.begin_at("ada", evil, later).is_err());
    }

    #[test]
    fn c17_a_name_may_fail_so_often_from_wherever_and_no_other_name_is_concerned() {
        let (failures, now) = (Failures::default(), Instant::now());
        let tries = |host: &u32| {
            let from = IpAddr::from(std::net::Ipv4Addr::from(0x0A00_0000 + host));
            failures.begin_at("ada", Some(from), now).is_ok()
        };
        assert_eq!((0..1000).filter(tries).count(), 50);
        assert!(failures.begin_at("bob", address("10.0.0.1"), now).is_ok());
    }

    #[test]
    fn c17_an_address_may_fail_so_often_by_whatever_name() {
        let (failures, now) = (Failures::default(), Instant::now());
        for name in 0..OF_ADDRESS.at_once {
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
}
