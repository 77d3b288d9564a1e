//! When connections move from one thread to another.
//!
//! A thread that serves many at once sleeps less often, and a message between
//! two of its own connections wakes no other; so all are on one for as long as
//! it can do it. One that is what its clients wait for gives half of those that
//! say something to another, where there is a core for that. When both do
//! little, they come together again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::Hands;
use super::load::{FULL, HALF, IdleCores, Meter};
use super::orders::{self, Order, Who};
use crate::broker::Core;

/// How often a thread looks at what it does.
const SPAN: Duration = Duration::from_millis(250);

/// For so many looks it is full before it gives any away.
const PATIENCE: u32 = 2;

/// The bits by which connections are parted, one after the other.
const BITS: u32 = 8;

/// What a thread makes of its looks, one after the other.
#[derive(Default)]
struct Looks {
    full: Option<Full>,
    /// By which bit it is parted next.
    bit: u32,
}

/// How long a thread has been full.
struct Full {
    looks: u32,
    idle: IdleCores,
}

/// What the threads do, as the one with this number sees it.
struct Looked<'a> {
    number: usize,
    loads: &'a [u32],
}

impl Looked<'_> {
    /// Whom to relieve itself by: the one that does the least, if that has time.
    fn relief(&self) -> Option<usize> {
        let others = self.loads.iter().enumerate().filter(|(other, _)| *other != self.number);
        let (other, load) = others.min_by_key(|(_, load)| **load)?;
        (*load < HALF).then_some(other)
    }

    /// Whom to come together with: the first that can do both.
    fn company(&self) -> Option<usize> {
        let own = self.loads[self.number];
        self.loads[..self.number].iter().position(|load| load + own < HALF)
    }
}

impl Looks {
    /// Who moves, and to which thread. `were_idle` says whether there was a core
    /// for one more thread.
    fn next(
        &mut self,
        looked: &Looked<'_>,
        were_idle: impl FnOnce(&mut IdleCores) -> bool,
    ) -> Option<(usize, Who)> {
        if looked.loads[looked.number] < FULL {
            self.full = None;
            return looked.company().map(|to| (to, Who::All));
        }
        let full = self.full.get_or_insert_with(|| Full { looks: 0, idle: IdleCores::start() });
        full.looks += 1;
        // The first look only begins.
        if full.looks <= PATIENCE {
            return None;
        }
        let had_core = were_idle(&mut full.idle);
        full.looks = 1;
        let to = looked.relief().filter(|_| had_core)?;
        let bit = self.bit;
        self.bit = (bit + 1) % BITS;
        Some((to, Who::Half(bit)))
    }
}

/// Looks at what the thread does that runs it, and says who moves.
pub(super) async fn watch(core: Arc<Core>, hands: Hands, number: usize) {
    let (mut meter, mut looks) = (Meter::start(), Looks::default());
    let mut ticks = tokio::time::interval(SPAN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = core.stop.cancelled() => return orders::give(None),
        }
        hands.threads[number].load.set(meter.read());
        let loads: Vec<u32> = hands.threads.iter().map(|hand| hand.load.get()).collect();
        let moves = looks.next(&Looked { number, loads: &loads }, |idle| idle.were_there(HALF));
        orders::give(moves.map(|(to, who)| Order { to: hands.threads[to].clone(), who }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_thread_is_relieved_by_the_one_that_does_the_least() {
        let relief = |number, loads: &[u32]| Looked { number, loads }.relief();
        assert_eq!(relief(0, &[950, 300, 100]), Some(2));
        assert_eq!(relief(1, &[0, 950]), Some(0));
        assert_eq!(relief(0, &[950, 600]), None);
        assert_eq!(relief(0, &[950]), None);
    }

    #[test]
    fn threads_that_do_little_come_together_at_the_first_that_can() {
        let company = |number, loads: &[u32]| Looked { number, loads }.company();
        assert_eq!(company(1, &[200, 200]), Some(0));
        assert_eq!(company(1, &[300, 300]), None);
        assert_eq!(company(2, &[480, 100, 100]), Some(1));
        assert_eq!(company(0, &[100, 100]), None);
    }

    #[test]
    fn who_is_full_for_long_gives_half_away_where_there_is_a_core() {
        let mut looks = Looks::default();
        let mut next = |load, idle| looks.next(&Looked { number: 0, loads: &[load, 0] }, |_| idle);
        assert_eq!([next(950, true), next(950, true)], [None; 2]);
        assert_eq!(next(950, true), Some((1, Who::Half(0))));
        // For one span: then it is looked at what that has brought.
        assert_eq!(next(950, true), None);
        assert_eq!(next(950, true), Some((1, Who::Half(1))));
        assert_eq!([next(950, false), next(950, false)], [None; 2]);
        // It begins anew once it was not full.
        assert_eq!([next(800, true), next(950, true), next(950, true)], [None; 3]);
        assert_eq!(next(950, true), Some((1, Who::Half(2))));
    }
}
