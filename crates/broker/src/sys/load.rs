//! Averages over one, five and fifteen minutes, as Unix has them for its load:
//! what was long ago counts less and less.

use crate::{CountersSnapshot, Time};

/// Reads what is counted.
type Reading = fn(&CountersSnapshot) -> u64;

/// What is averaged, by its name.
const RATES: [(&str, Reading); 9] = [
    ("messages/received", |counters| counters.received.packets),
    ("messages/sent", |counters| counters.sent.packets),
    ("publish/received", |counters| counters.received.all_messages()),
    ("publish/sent", |counters| counters.sent.all_messages()),
    ("publish/dropped", CountersSnapshot::dropped_at_bounds),
    ("bytes/received", |counters| counters.received.bytes),
    ("bytes/sent", |counters| counters.sent.bytes),
    ("sockets", |counters| counters.connections_accepted),
    ("connections", |counters| counters.connects),
];

/// Over how many minutes.
const WINDOWS: [(&str, f64); 3] = [("1min", 1.0), ("5min", 5.0), ("15min", 15.0)];

/// The averages so far, each in events a minute.
#[derive(Debug, Default)]
pub(super) struct Load {
    at: Time,
    counted: [u64; RATES.len()],
    averages: [[f64; WINDOWS.len()]; RATES.len()],
}

impl Load {
    /// Takes in what was counted since the last time.
    pub(super) fn note(&mut self, counters: &CountersSnapshot, now: Time) {
        let minutes = now.saturating_sub(self.at) as f64 / 60_000.0;
        if minutes <= 0.0 {
            return;
        }
        self.at = now;
        for (number, (_, count)) in RATES.iter().enumerate() {
            let count = count(counters);
            let since = count.saturating_sub(self.counted[number]) as f64;
            self.counted[number] = count;
            for ((_, window), average) in WINDOWS.iter().zip(&mut self.averages[number]) {
                let weight = (-minutes / window).exp();
                *average = *average * weight + since / minutes * (1.0 - weight);
            }
        }
    }

    /// Every average with its name.
    pub(super) fn averages(&self) -> impl Iterator<Item = (String, f64)> {
        RATES.iter().zip(&self.averages).flat_map(|((name, _), averages)| {
            let named = WINDOWS.iter().zip(averages);
            named.map(move |((window, _), average)| (format!("{name}/{window}"), *average))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn average(load: &Load, name: &str) -> f64 {
        let found = load.averages().find(|(known, _)| known == name);
        found.expect("there is one of this name").1
    }

    #[test]
    fn an_average_comes_near_to_a_steady_rate_and_goes_when_it_ends() {
        let (mut load, mut counters) = (Load::default(), CountersSnapshot::default());
        for second in 1..=600 {
            counters.connects += 2;
            load.note(&counters, second * 1000);
        }
        assert!((119.0..121.0).contains(&average(&load, "connections/1min")), "{load:?}");
        let longest = average(&load, "connections/15min");
        assert!((50.0..70.0).contains(&longest), "{load:?}");
        load.note(&counters, 1_200_000);
        assert!(average(&load, "connections/1min") < 0.01, "{load:?}");
        assert!(average(&load, "connections/15min") > 25.0, "{load:?}");
    }

    #[test]
    fn how_often_it_is_looked_at_does_not_matter() {
        let (mut often, mut seldom) = (Load::default(), Load::default());
        let mut counters = CountersSnapshot::default();
        for second in 1..=60 {
            counters.connects += 1;
            often.note(&counters, second * 1000);
        }
        seldom.note(&counters, 60_000);
        let (often, seldom) =
            (average(&often, "connections/5min"), average(&seldom, "connections/5min"));
        assert!((often - seldom).abs() < 0.01, "{often} {seldom}");
    }
}
