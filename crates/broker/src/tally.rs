//! What became of a message at all of its receivers, and what its publisher is
//! told for that.

use latchlight_mqtt::ReasonCode;

use crate::DropReason;
use crate::session::Accepted;

/// What became of a message, for its publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What PUBACK and PUBREC say.
    pub(crate) reason: ReasonCode,
    /// It was refused where the store could not write. That may have changed
    /// since.
    pub(crate) store_is_full: bool,
}

impl From<ReasonCode> for Outcome {
    fn from(reason: ReasonCode) -> Self {
        Self { reason, store_is_full: false }
    }
}

/// How many took a message, and how many had no room for it.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    pub(crate) taken: usize,
    full: usize,
    /// Somebody had none because the store cannot write.
    store_is_full: bool,
}

impl Tally {
    pub(crate) fn add(&mut self, accepted: Accepted) {
        match accepted {
            Accepted::Yes(_) => self.taken += 1,
            Accepted::Full(reason) => {
                self.full += 1;
                self.store_is_full |= reason == DropReason::StoreFull;
            }
            Accepted::Disconnect => self.full += 1,
            Accepted::Not(_) => {}
        }
    }

    /// Never success for what was dropped by everyone (C14).
    pub(crate) fn outcome(&self) -> Outcome {
        if self.taken == 0 && self.full > 0 {
            let store_is_full = self.store_is_full;
            Outcome { reason: ReasonCode::QuotaExceeded, store_is_full }
        } else {
            ReasonCode::Success.into()
        }
    }
}

/// The same of messages that go together.
pub(crate) struct Tallies {
    /// Somebody took all of them.
    taken: bool,
    each: Vec<Tally>,
}

impl Tallies {
    pub(crate) fn new(messages: usize) -> Self {
        Self { taken: false, each: vec![Tally::default(); messages] }
    }

    /// A receiver took all of them.
    pub(crate) fn all_taken(&mut self) {
        self.taken = true;
    }

    /// Of each message, for a receiver that got them one by one.
    pub(crate) fn each(&mut self) -> impl Iterator<Item = &mut Tally> {
        self.each.iter_mut()
    }

    /// What became of each.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.each.iter().map(|tally| match self.taken {
            true => ReasonCode::Success.into(),
            false => tally.outcome(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DropReason::{QueueFull, StoreFull};

    #[test]
    fn only_what_nobody_took_is_refused_and_the_store_is_named_if_it_had_a_part() {
        let (success, refused) = (ReasonCode::Success, ReasonCode::QuotaExceeded);
        let cases: &[(&[Accepted], ReasonCode, bool)] = &[
            (&[], success, false),
            (&[Accepted::Not(None)], success, false),
            (&[Accepted::Full(QueueFull)], refused, false),
            (&[Accepted::Disconnect, Accepted::Not(None)], refused, false),
            (&[Accepted::Full(StoreFull)], refused, true),
            (&[Accepted::Full(StoreFull), Accepted::Full(QueueFull)], refused, true),
            (&[Accepted::Full(QueueFull), Accepted::Full(StoreFull)], refused, true),
            (&[Accepted::Full(StoreFull), Accepted::Yes(None)], success, false),
            (&[Accepted::Yes(Some(1)), Accepted::Full(StoreFull)], success, false),
        ];
        for (accepted, reason, store_is_full) in cases {
            let mut tally = Tally::default();
            accepted.iter().for_each(|one| tally.add(*one));
            let expected = Outcome { reason: *reason, store_is_full: *store_is_full };
            assert_eq!(tally.outcome(), expected, "{accepted:?}");
        }
    }

    #[test]
    fn who_took_all_of_them_took_each() {
        let mut tallies = Tallies::new(2);
        tallies.each().for_each(|tally| tally.add(Accepted::Full(StoreFull)));
        let refused = Outcome { reason: ReasonCode::QuotaExceeded, store_is_full: true };
        assert_eq!(tallies.outcomes().collect::<Vec<_>>(), [refused; 2]);
        tallies.all_taken();
        assert_eq!(tallies.outcomes().collect::<Vec<_>>(), [ReasonCode::Success.into(); 2]);
    }
}
