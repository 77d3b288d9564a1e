//! What the broker's store is given to do: messages that are queued and soon
//! taken, each a row of about 150 bytes, for fifty sessions.

use std::collections::VecDeque;

use latchlight_broker::{Change, Store, StoreError};

/// How many sessions the messages are for.
const SESSIONS: u64 = 50;

/// How many messages wait at any time while commits are measured.
pub(crate) const WAITING: usize = 1000;

/// The bytes of a row's value.
const VALUE: usize = 150;

/// Queues messages, and takes the oldest.
pub(crate) struct Work {
    waiting: VecDeque<Vec<u8>>,
    next: u64,
}

impl Work {
    pub(crate) fn new() -> Self {
        Self { waiting: VecDeque::new(), next: 0 }
    }

    /// One commit: this many rows come, and as many go as are more than wait.
    pub(crate) fn commit(
        &mut self,
        store: &mut dyn Store,
        rows: usize,
        waiting: usize,
    ) -> Result<(), StoreError> {
        let value = value(self.next);
        let first = self.waiting.len();
        for _ in 0..rows {
            self.next += 1;
            self.waiting.push_back(key(self.next));
        }
        let gone = self.waiting.len().saturating_sub(waiting).min(first);
        let (old, new) = (self.waiting.iter().take(gone), self.waiting.iter().skip(first));
        let puts = new.map(|key| Change::Put(key, &value));
        let result = store.commit(&mut puts.chain(old.map(|key| Change::Delete(key))));
        self.waiting.drain(..gone);
        result
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// A session's number, the kind, the message's number: as the broker has them.
fn key(number: u64) -> Vec<u8> {
    [&(number % SESSIONS + 1).to_be_bytes()[..], &[3], &number.to_be_bytes()].concat()
}

/// Bytes that do not compress to nothing.
fn value(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..VALUE).map(|_| next()).collect()
}
