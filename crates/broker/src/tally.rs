//! What became of a message at all of its receivers, and what its publisher is
//! told for that.

use latchlight_mqtt::ReasonCode;

use crate::DropReason;
use crate::session::Accepted;

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
    pub(crate) fn reason(&self) -> ReasonCode {
        if self.taken == 0 && self.full > 0 {
            ReasonCode::QuotaExceeded
        } else {
            ReasonCode::Success
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

    /// What the publisher of each is told, and whether a store that cannot write
    /// has to do with it.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = (ReasonCode, bool)> {
        self.each.iter().map(|tally| match self.taken {
            true => (ReasonCode::Success, false),
            false => (tally.reason(), tally.store_is_full),
        })
    }
}
