//! All that is to outlive the broker, for a store that has lost what it had:
//! while the broker runs, what it holds in memory is the whole of it.

use super::Recorder;
use crate::broker::Core;
use crate::session_handle::Session;
use crate::sys::is_system;

impl Core {
    /// Notes everything. Nobody notes what belongs together meanwhile; single
    /// changes are noted after they were made, so that each is here or comes
    /// after.
    pub(super) fn note_everything(&self, recorder: &Recorder) {
        recorder.format();
        let sessions = self.sessions.lock().all();
        for session in sessions {
            note_session(recorder, &session);
        }
        // Still locked: a newer one of the same topic comes after.
        let retained = self.retained.lock();
        for message in retained.iter().filter(|message| !is_system(&message.topic)) {
            recorder.retained(message);
        }
    }
}

fn note_session(recorder: &Recorder, session: &Session) {
    let number = session.number;
    {
        let line = session.outbound.lock();
        if !line.owed.is_logged() {
            return;
        }
        recorder.session(number, &session.record_again());
        if let Some(will) = &line.will {
            recorder.will(number, Some(will));
        }
        line.owed.note_all();
    }
    for (filter, held) in session.subscriptions.lock().iter() {
        recorder.subscribed(number, filter, held);
    }
    for id in session.inbound.lock().iter() {
        recorder.taken(number, id);
    }
}
