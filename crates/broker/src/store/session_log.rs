//! What the store is told of one session, and what waits for it.

use std::sync::{Arc, Weak};

use super::record::{self, MessageState};
use super::{Recorder, keys};
use crate::Time;
use crate::session::{Kept, OutputBuffer};
use crate::session_handle::Session;

/// A commit that the output of a session's connection has to wait for.
#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) session: Weak<Session>,
    pub(crate) commit: u64,
}

impl Wait {
    /// What is appended to the output from here on waits for the commit.
    pub(crate) fn hold(self, output: &mut OutputBuffer) {
        if output.wait_for(&self.recorder, self.commit) {
            self.recorder.write_after(self.commit, self.session);
        }
    }
}

/// Notes what one session is owed.
#[derive(Debug)]
pub(crate) struct SessionLog {
    recorder: Arc<Recorder>,
    number: u64,
    session: Weak<Session>,
    next: u64,
    /// How long the session outlives its connection, in ms.
    expiry: Time,
    /// The commit with which the store keeps it for as long.
    kept_with: u64,
    /// The commit with which it keeps all packet ids of QoS 2.
    ids_kept_with: u64,
}

impl SessionLog {
    /// `next` is a sequence number beyond all that the session has used.
    pub(crate) fn new(recorder: &Arc<Recorder>, session: &Arc<Session>, next: u64) -> Self {
        let (recorder, number) = (recorder.clone(), session.number);
        let session = Arc::downgrade(session);
        Self { recorder, number, session, next, expiry: 0, kept_with: 0, ids_kept_with: 0 }
    }

    /// A packet id of QoS 2 was noted for this commit.
    pub(crate) fn note_id(&mut self, commit: u64) {
        self.ids_kept_with = commit;
    }

    /// The commit with which the store keeps all packet ids of QoS 2.
    pub(crate) fn ids_kept_with(&self) -> u64 {
        self.ids_kept_with
    }

    /// The session outlives its connection by this, noted for this commit;
    /// gives the one after which the store keeps it for as long.
    pub(crate) fn note_expiry(&mut self, expiry: Time, commit: u64) -> u64 {
        if expiry > self.expiry {
            self.kept_with = commit;
        }
        self.expiry = expiry;
        self.kept_with
    }

    pub(crate) fn is_full(&self) -> bool {
        self.recorder.is_full()
    }

    /// The next sequence number.
    pub(crate) fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A message is new, or has come this far; `kept` until it is released.
    pub(crate) fn owed(
        &self,
        sequence: u64,
        state: MessageState,
        kept: Option<&Kept>,
        new: bool,
    ) -> u64 {
        let value = record::encode_owed(state, kept, &self.recorder.clock);
        self.recorder.put(keys::message(self.number, sequence), value, new)
    }

    /// A message is owed no more.
    pub(crate) fn done(&self, sequence: u64) -> u64 {
        self.recorder.not_owed(self.number, sequence)
    }

    /// The session is to be forgotten.
    pub(crate) fn forget(self) -> u64 {
        self.recorder.forget(self.number)
    }

    /// What is to be on disk before more is sent.
    pub(crate) fn wait(&self, commit: u64) -> Wait {
        Wait { recorder: self.recorder.clone(), session: self.session.clone(), commit }
    }
}
