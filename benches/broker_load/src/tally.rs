//! Whether what was published came, once and in order.
use hdrhistogram::Histogram;

use crate::outcome::{self, Figure, Outcome};
use crate::packets::Stamp;

/// To whom a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// To every subscriber that hears the topic.
    Each,
    /// To one of them: they share a subscription.
    One,
}

/// Counts deliveries.
#[derive(Debug)]
pub struct Tally {
    spread: Spread,
    payload: usize,
    /// By subscriber, then by publisher: the number that comes next.
    next: Vec<Vec<u32>>,
    /// By publisher: a bit for each message that came, where one subscriber gets it.
    came: Vec<Vec<u64>>,
    received: u64,
    repeated: u64,
    foreign: u64,
    latencies: Histogram<u64>,
}

impl Tally {
    /// Of nothing yet, for payloads of this length.
    pub fn new(spread: Spread, subscribers: usize, payload: usize) -> Self {
        Self {
            spread,
            payload,
            next: vec![Vec::new(); subscribers],
            came: Vec::new(),
            received: 0,
            repeated: 0,
            foreign: 0,
            latencies: outcome::latencies(),
        }
    }

    /// How many deliveries came, each counted once.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The latencies of those that say when they were to be sent.
    pub fn latencies(&self) -> &Histogram<u64> {
        &self.latencies
    }

    /// Counts a delivery at this time on the publisher's clock; gives who published it, if it is
    /// one of ours and new.
    pub fn record(&mut self, subscriber: usize, payload: &[u8], now: u64) -> Option<usize> {
        let stamp = Stamp::read(payload).filter(|_| payload.len() == self.payload);
        let Some(stamp) = stamp else {
            self.foreign += 1;
            return None;
        };
        let publisher = stamp.publisher as usize;
        let is_new = match self.spread {
            Spread::Each => self.is_next(subscriber, publisher, stamp.number),
            Spread::One => self.is_first(publisher, stamp.number),
        };
        if !is_new {
            self.repeated += 1;
            return None;
        }
        self.received += 1;
        if stamp.nanos > 0 {
            self.latencies.saturating_record(now.saturating_sub(stamp.nanos));
        }
        Some(publisher)
    }

    /// Whether it comes after all that came before from there; some between may be lost.
    fn is_next(&mut self, subscriber: usize, publisher: usize, number: u32) -> bool {
        let next = &mut self.next[subscriber];
        if next.len() <= publisher {
            next.resize(publisher + 1, 0);
        }
        let is_next = number >= next[publisher];
        next[publisher] = next[publisher].max(number + 1);
        is_next
    }

    fn is_first(&mut self, publisher: usize, number: u32) -> bool {
        if self.came.len() <= publisher {
            self.came.resize(publisher + 1, Vec::new());
        }
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        let came = &mut self.came[publisher];
        if came.len() <= word {
            came.resize(word + 1, 0);
        }
        let is_first = came[word] & bit == 0;
        came[word] |= bit;
        is_first
    }

    /// Says whether all is as it must be. Of QoS 0 some may be lost, which is written down.
    pub fn judge(&self, expected: u64, may_lose: bool, outcome: &mut Outcome) {
        let lost = expected.saturating_sub(self.received);
        if may_lose {
            outcome.set(Figure::Lost, lost as f64);
        } else {
            outcome.require(lost == 0, || format!("{lost} of {expected} deliveries did not come"));
        }
        let repeated = self.repeated;
        outcome.require(repeated == 0, || format!("{repeated} came twice or out of order"));
        outcome.require(self.foreign == 0, || format!("{} were not what was sent", self.foreign));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(publisher: u32, number: u32) -> Vec<u8> {
        let mut payload = vec![0; 20];
        payload[..4].copy_from_slice(&publisher.to_be_bytes());
        payload[4..8].copy_from_slice(&number.to_be_bytes());
        payload
    }

    fn failures(tally: &Tally, expected: u64, may_lose: bool) -> (Option<f64>, usize) {
        let mut outcome = Outcome::default();
        tally.judge(expected, may_lose, &mut outcome);
        (outcome.get(Figure::Lost), outcome.failures.len())
    }

    #[test]
    fn what_comes_once_and_in_order_is_good() {
        let mut tally = Tally::new(Spread::Each, 2, 20);
        for number in 0..3 {
            assert_eq!(tally.record(0, &payload(1, number), 0), Some(1));
            assert_eq!(tally.record(1, &payload(0, number), 0), Some(0));
        }
        assert_eq!(failures(&tally, 6, false), (None, 0));
    }

    #[test]
    fn what_is_lost_is_counted_at_qos_0_and_fails_at_qos_1() {
        let mut tally = Tally::new(Spread::Each, 1, 20);
        tally.record(0, &payload(0, 0), 0);
        tally.record(0, &payload(0, 2), 0);
        assert_eq!(failures(&tally, 3, true), (Some(1.0), 0));
        assert_eq!(failures(&tally, 3, false), (None, 1));
    }

    #[test]
    fn what_comes_twice_or_late_or_changed_is_a_failure() {
        let mut tally = Tally::new(Spread::Each, 1, 20);
        tally.record(0, &payload(0, 1), 0);
        assert_eq!(tally.record(0, &payload(0, 1), 0), None);
        assert_eq!(tally.record(0, &payload(0, 0), 0), None);
        assert_eq!(failures(&tally, 1, true), (Some(0.0), 1));
        assert_eq!(tally.record(0, &payload(0, 2)[..19], 0), None);
        assert_eq!(failures(&tally, 1, true), (Some(0.0), 2));
    }

    #[test]
    fn who_shares_a_subscription_gets_each_message_once_among_them() {
        let mut tally = Tally::new(Spread::One, 2, 20);
        assert_eq!(tally.record(0, &payload(3, 100), 0), Some(3));
        assert_eq!(tally.record(1, &payload(3, 99), 0), Some(3));
        assert_eq!(tally.record(1, &payload(3, 100), 0), None);
        assert_eq!(failures(&tally, 2, false), (None, 1));
    }
}
