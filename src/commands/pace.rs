//! How many commands one principal may give: an app that has run wild neither
//! fills the record nor wears out a lock, and holds up nobody else's.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;

use super::{Order, Verb};
use crate::config::CommandSettings;
use crate::identity::Principal;

/// So many are remembered before those are forgotten who have given none lately.
/// Whoever gives commands is an account, a device or a plugin: beyond this there
/// are no more than there are of these.
const REMEMBERED: usize = 10_000;

/// How often the forgettable ones are looked for, where there are that many.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Counts the commands of each principal.
pub(super) struct Pace {
    /// Nothing: any number.
    limit: Option<Limit>,
}

struct Limit {
    per_minute: NonZeroU32,
    given: DefaultKeyedRateLimiter<Giver>,
    swept: Mutex<Instant>,
}

/// Who gives commands. Those that lock are counted by themselves: whatever else
/// somebody's app has done, the door can be locked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Giver {
    principal: String,
    locks: bool,
}

/// Too many commands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{who} gives more than {} a minute: try again in {} s", self.most(), self.seconds())]
pub struct TooFast {
    who: String,
    per_minute: NonZeroU32,
    wait: Duration,
}

impl TooFast {
    /// After how many seconds there may be the next.
    pub fn seconds(&self) -> u64 {
        self.wait.as_secs() + 1
    }

    fn most(&self) -> String {
        match self.per_minute.get() {
            1 => "1 command".to_owned(),
            most => format!("{most} commands"),
        }
    }
}

impl Pace {
    pub(super) fn new(settings: &CommandSettings) -> Self {
        let limit = NonZeroU32::new(settings.per_minute).map(|per_minute| Limit {
            per_minute,
            given: RateLimiter::keyed(Quota::per_minute(per_minute)),
            swept: Mutex::new(Instant::now()),
        });
        Self { limit }
    }

    /// What is ordered at once, all of it or nothing. To more devices than a
    /// minute has commands, it takes all of a minute's.
    pub(super) fn admit(&self, orders: &[Order]) -> Result<(), TooFast> {
        let (Some(limit), Some(first)) = (&self.limit, orders.first()) else { return Ok(()) };
        let most = limit.per_minute;
        let count = u32::try_from(orders.len()).ok().and_then(NonZeroU32::new);
        let count = count.unwrap_or(most).min(most);
        limit.sweep();
        let giver = Giver::of(&first.principal, orders);
        let Ok(Err(later)) = limit.given.check_key_n(&giver, count) else { return Ok(()) };
        let wait = later.wait_time_from(DefaultClock::default().now());
        Err(TooFast { who: first.principal.to_string(), per_minute: most, wait })
    }
}

impl Limit {
    fn sweep(&self) {
        if self.given.len() < REMEMBERED {
            return;
        }
        let mut swept = self.swept.lock();
        if swept.elapsed() >= SWEEP_EVERY {
            *swept = Instant::now();
            self.given.retain_recent();
        }
    }
}

impl Giver {
    fn of(principal: &Principal, orders: &[Order]) -> Self {
        let locks = orders.iter().any(|order| order.verb == Verb::Lock);
        Self { principal: principal.key(), locks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(per_minute: u32) -> Pace {
        Pace::new(&CommandSettings { per_minute, ..CommandSettings::default() })
    }

    fn orders(of: &str, verb: Verb, count: usize) -> Vec<Order> {
        let device: crate::state::DeviceId = "front-door".parse().expect("an id");
        let principal = Principal::plugin(of);
        let order = Order { id: None, device, verb, principal, refused: None };
        vec![order; count]
    }

    #[test]
    fn one_command_too_many_in_a_minute_is_refused_and_nobody_elses() {
        let pace = pace(3);
        for _ in 0..3 {
            assert_eq!(pace.admit(&orders("one", Verb::Unlock, 1)), Ok(()));
        }
        let refused = pace.admit(&orders("one", Verb::Unlock, 1)).expect_err("one too many");
        assert!((1..=20).contains(&refused.seconds()), "{refused}");
        let said = refused.to_string();
        assert!(said.starts_with("plugin:one gives more than 3 commands a minute: "), "{said}");
        assert_eq!(pace.admit(&orders("other", Verb::Unlock, 3)), Ok(()));
    }

    #[test]
    fn whatever_else_somebody_has_done_the_door_can_be_locked() {
        let pace = pace(2);
        assert_eq!(pace.admit(&orders("one", Verb::On, 2)), Ok(()));
        assert!(pace.admit(&orders("one", Verb::Off, 1)).is_err());
        assert_eq!(pace.admit(&orders("one", Verb::Lock, 1)), Ok(()));
        // `lock` to everything: what lights are told with it counts with it.
        let mut all = orders("one", Verb::Lock, 1);
        all.extend(orders("one", Verb::Off, 1));
        assert!(pace.admit(&all).is_err(), "all or nothing");
        assert_eq!(pace.admit(&orders("one", Verb::Lock, 1)), Ok(()));
        assert!(pace.admit(&orders("one", Verb::Lock, 1)).is_err());
    }

    #[test]
    fn more_devices_than_a_minute_has_commands_take_all_of_them() {
        let pace = pace(10);
        assert_eq!(pace.admit(&orders("one", Verb::Lock, 1000)), Ok(()));
        assert!(pace.admit(&orders("one", Verb::Lock, 1)).is_err());
        assert_eq!(pace.admit(&[]), Ok(()));
    }

    #[test]
    fn where_it_is_0_there_is_no_limit() {
        let pace = pace(0);
        assert!((0..1000).all(|_| pace.admit(&orders("one", Verb::Unlock, 10)).is_ok()));
    }
}
