//! Commits when it is told to, on no thread of its own.

use super::Store;
use super::recorder::{Pending, Recorder};
use super::writer::{attempt, let_go};
use crate::broker::Core;

/// The writer of a broker that is driven step by step.
pub(crate) struct ByHand {
    store: Box<dyn Store>,
    /// What could not be committed, and is tried again.
    batch: Option<Pending>,
    /// The store has lost what it had.
    is_lost: bool,
}

impl ByHand {
    pub(crate) fn new(store: Box<dyn Store>) -> Self {
        Self { store, batch: None, is_lost: false }
    }

    /// Commits what is pending; false: that failed.
    pub(crate) fn commit(&mut self, core: &Core, recorder: &Recorder) -> bool {
        let is_due = recorder.pending.lock().is_due;
        let batch = self.batch.take().or_else(|| is_due.then(|| recorder.take()));
        let Some(mut batch) = batch else { return true };
        let store = self.store.as_mut();
        if attempt(recorder, store, &mut batch, &mut self.is_lost, core).is_err() {
            self.batch = Some(batch);
            return false;
        }
        self.is_lost = false;
        let_go(core, recorder, batch.commit);
        true
    }
}
