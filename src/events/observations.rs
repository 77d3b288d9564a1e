//! What devices bring about by themselves, over and over: their states, their
//! coming and going, their alerts. Each device has so many lines of each kind.
//! What goes beyond is counted, and the newest of it is on record when there is
//! a line again: what stands there last is how it is.

use std::collections::HashMap;
use std::time::Instant;

use super::lines::Lines;
use super::{Event, Kind};

/// How many devices have lines of their own, kind by kind; yet others share
/// theirs.
const DEVICES: usize = 50_000;

/// The most that are due at a time; what is due beyond is due the next time.
const AT_ONCE: usize = 500;

struct Observed {
    lines: Lines,
    /// The newest of those that are not on record.
    newest: Option<Event>,
    times: u64,
}

/// What was observed lately.
#[derive(Default)]
pub(super) struct Observations(HashMap<(Kind, String), Observed>);

impl Observations {
    /// The event, if it is to be on record now; else it waits. Without `room`,
    /// each waits: others are to have the room that there is.
    pub(super) fn take(&mut self, event: Event, room: bool, now: Instant) -> Option<Event> {
        let Self(devices) = self;
        if devices.len() >= DEVICES {
            devices.retain(|_, observed| !observed.is_over(now));
        }
        let mut key = (event.kind, event.device.clone().unwrap_or_default());
        if devices.len() >= DEVICES && !devices.contains_key(&key) {
            key.1.clear();
        }
        let new = || Observed { lines: Lines::new(now), newest: None, times: 0 };
        let observed = devices.entry(key).or_insert_with(new);
        observed.times += event.times;
        if room && observed.lines.take(now) {
            observed.newest = None;
            let times = std::mem::take(&mut observed.times);
            return Some(event.times(times));
        }
        observed.newest = Some(event);
        None
    }

    /// What waits and may be on record by now; with `all`, whatever there is.
    pub(super) fn due(&mut self, now: Instant, all: bool) -> Vec<Event> {
        let Self(devices) = self;
        let mut due = Vec::new();
        for observed in devices.values_mut().filter(|observed| observed.newest.is_some()) {
            if !all && due.len() >= AT_ONCE {
                break;
            }
            if (all || observed.lines.has_one(now))
                && let Some(newest) = observed.newest.take()
            {
                observed.lines.take(now);
                due.push(newest.times(std::mem::take(&mut observed.times)));
            }
        }
        devices.retain(|_, observed| !observed.is_over(now));
        // As they happened.
        due.sort_by_key(|event| event.at);
        due
    }
}

impl Observed {
    /// Whether it is as if nothing had ever been observed.
    fn is_over(&self, now: Instant) -> bool {
        self.newest.is_none() && self.lines.is_full(now)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn state(device: &str, word: &str) -> Event {
        Event::of_server(Kind::State, word).device(&device.parse().unwrap())
    }

    #[test]
    fn a_device_that_flaps_has_some_lines_and_the_last_is_as_it_is() {
        let mut observations = Observations::default();
        let began = Instant::now();
        let mut lines = Vec::new();
        for second in 0..3600 {
            let now = began + Duration::from_secs(second);
            let word = if second % 2 == 0 { "locked" } else { "unlocked" };
            lines.extend(observations.take(state("front", word), true, now));
            if second % 10 == 0 {
                lines.extend(observations.due(now, false));
            }
            if second == 1800 {
                let other = observations.take(state("back", "locked"), true, now);
                assert_eq!(other.map(|event| event.times), Some(1), "others have their own");
            }
        }
        lines.extend(observations.due(began + Duration::from_secs(3660), false));
        assert!(lines.len() <= 50 + 62, "{}", lines.len());
        assert_eq!(lines.iter().map(|event| event.times).sum::<u64>(), 3600);
        assert_eq!(lines.last().unwrap().action, "unlocked");
        observations.due(began + Duration::from_secs(2 * 3600), false);
        assert!(observations.0.is_empty(), "what is over is forgotten");
    }

    #[test]
    fn what_finds_no_room_waits_and_is_there_once_with_all_that_it_stands_for() {
        let mut observations = Observations::default();
        let now = Instant::now();
        for word in ["locked", "unlocked", "locked"] {
            assert_eq!(observations.take(state("front", word), false, now), None);
        }
        let due = observations.due(now, false);
        assert_eq!(due.iter().map(|event| event.times).collect::<Vec<_>>(), [3]);
        assert_eq!(observations.due(now, true), []);
    }

    #[test]
    fn devices_without_end_are_kept_no_book_of() {
        let mut observations = Observations::default();
        let now = Instant::now();
        let mut told = 0;
        for number in 0..DEVICES + 100 {
            let event = observations.take(state(&format!("d{number}"), "on"), true, now);
            told += event.map_or(0, |event| event.times);
        }
        assert!(observations.0.len() <= DEVICES + Kind::ALL.len());
        told += observations.due(now, true).iter().map(|event| event.times).sum::<u64>();
        assert_eq!(told, DEVICES as u64 + 100);
    }
}
