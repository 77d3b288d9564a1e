//! What became of a message at all of its receivers, and what its publisher is
//! told for that.

use latchlight_mqtt::ReasonCode;

use crate::session::Accepted;

/// How many took a message, and how many had no room for it.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) taken: usize,
    full: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, accepted: Accepted) {
        match accepted {
            Accepted::Yes(_) => self.taken += 1,
            Accepted::Full(_) | Accepted::Disconnect => self.full += 1,
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
