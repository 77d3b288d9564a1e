//! Messages that wait for a session: bounded in number and bytes.

use std::collections::VecDeque;

use super::in_flight::Kept;
use crate::options::WhenFull;
use crate::{Options, Time};

/// What waits for a session, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Kept>,
    bytes: usize,
}

/// What became of a message that wanted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Waits,
    /// This many older ones were dropped for it.
    Instead(usize),
    Dropped,
    /// The session is to be disconnected.
    Disconnect,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn push(&mut self, kept: Kept, options: &Options) -> Pushed {
        let size = kept.message.size();
        let mut dropped = 0;
        while self.waiting.len() >= options.max_queued_messages
            || self.bytes + size > options.max_queued_bytes
        {
            match options.when_full {
                WhenFull::DropNewest => return Pushed::Dropped,
                WhenFull::Disconnect => return Pushed::Disconnect,
                WhenFull::DropOldest => match self.waiting.pop_front() {
                    Some(oldest) => {
                        self.bytes -= oldest.message.size();
                        dropped += 1;
                    }
                    None => return Pushed::Dropped,
                },
            }
        }
        self.bytes += size;
        self.waiting.push_back(kept);
        if dropped > 0 { Pushed::Instead(dropped) } else { Pushed::Waits }
    }

    /// The oldest one that has not expired, and how many had.
    pub(crate) fn pop(&mut self, now: Time) -> (Option<Kept>, u64) {
        let mut expired = 0;
        while let Some(kept) = self.waiting.pop_front() {
            self.bytes -= kept.message.size();
            if !kept.message.is_expired(now) {
                return (Some(kept), expired);
            }
            expired += 1;
        }
        self.waiting = VecDeque::new();
        (None, expired)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
