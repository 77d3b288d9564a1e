//! When many have left: a word to the allocator. Those that keep for a thread
//! what it has freed give it back to the system only when that thread says so.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::broker::Core;
use crate::topics::RouteCache;

/// What each of the broker's threads calls then.
pub(crate) type GiveBack = Arc<dyn Fn() + Send + Sync>;

/// How often it is looked at how many there are.
const TICK: Duration = Duration::from_secs(1);

/// Fewer connections and sessions that went are no matter.
const LEAST: u64 = 256;

/// How many there were, and are.
#[derive(Debug, Default)]
struct Ebb {
    most: u64,
    /// At the last look, many had left.
    had_fallen: bool,
}

impl Ebb {
    /// Whether it is time: a quarter of them has left, and what was theirs has
    /// had the time of one look to be freed.
    fn look(&mut self, now: u64) -> bool {
        self.most = self.most.max(now);
        let left = self.most - now;
        let has_fallen = left >= LEAST && left >= self.most / 4;
        let is_time = has_fallen && self.had_fallen;
        self.had_fallen = has_fallen && !is_time;
        if is_time {
            self.most = now;
        }
        is_time
    }
}

/// Looks at it on one of the broker's threads, until it stops.
pub(crate) async fn watch(core: Arc<Core>, give_back: GiveBack) {
    let mut ebb = Ebb::default();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = core.stop.cancelled() => return,
        }
        if ebb.look(core.counters.connections.get() + core.counters.sessions.get()) {
            RouteCache::of_this_thread(|cache| cache.forget_stale(&core.index));
            give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_one_look_after_many_have_left() {
        let mut ebb = Ebb::default();
        for (now, is_time) in [
            (1000, false),
            (800, false),
            // A quarter has left.
            (740, false),
            (740, true),
            (740, false),
            // It goes on.
            (100, false),
            (0, true),
            // They were back before it was time, and then too few left.
            (2000, false),
            (0, false),
            (1900, false),
            (1800, false),
            (1700, false),
            (1600, false),
        ] {
            assert_eq!(ebb.look(now), is_time, "{now}");
        }
    }
}
