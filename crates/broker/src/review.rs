//! What becomes of a session when the access hook says something else.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use latchlight_mqtt::ReasonCode;

use crate::access::Review;
use crate::broker::Core;
use crate::line::Closing;
use crate::session_handle::Session;
use crate::{Broker, ClientInfo};

impl Broker {
    /// Asks the access hook again about every session, with and without a
    /// connection, when its rules have changed; those that a store has brought
    /// back are asked about when the broker begins. A session that was let in by
    /// other rules, or has a subscription that is not allowed any more, ends:
    /// its connection is closed and what waits in it is dropped. Gives how
    /// many were not kept as they are.
    pub fn review(&self) -> usize {
        self.core.reviews.fetch_add(1, Ordering::SeqCst);
        self.core.ask_whether_it_checks(true);
        let sessions = self.core.sessions.lock().all();
        let not_kept = sessions.iter().filter(|session| self.core.review(session)).count();
        // Only now is nobody there any more whom it was for.
        self.core.ask_whether_it_checks(false);
        self.core.hooks.tell();
        not_kept
    }
}

impl Core {
    /// Asks the access hook again about one session; true if it is not kept as
    /// it is.
    pub(crate) fn review(&self, session: &Arc<Session>) -> bool {
        let known = session.outbound.lock().info.clone();
        let client = known.clone().unwrap_or_else(|| Arc::new(session.absent_client()));
        let (reason, ends) = match self.access.review(&client) {
            // Where it comes from may matter: it is asked when somebody comes.
            Review::Keep if known.is_none() => return false,
            Review::Keep if self.allows_all_that(session, &client) => {
                self.sift(session);
                return false;
            }
            Review::Keep => (ReasonCode::NotAuthorized, true),
            Review::Disconnect(reason) => (reason, false),
            Review::End(reason) => (reason, true),
        };
        if ends {
            session.revoke();
        }
        let epoch = {
            let mut line = session.outbound.lock();
            if line.owed.is_connected() {
                // The connection's task ends the session.
                line.close(Closing { reason, say: true, reset: false });
                if ends {
                    line.owed.finish();
                }
                return true;
            }
            line.epoch
        };
        if ends {
            let _together = self.recorder.as_ref().map(|recorder| recorder.together());
            self.discard(session, epoch);
        }
        ends
    }

    /// Whether a client may still have every subscription of a session.
    pub(crate) fn allows_all_that(&self, session: &Session, client: &ClientInfo) -> bool {
        let held: Vec<_> =
            session.subscriptions.lock().iter().map(|(filter, _)| filter.clone()).collect();
        held.iter().all(|filter| self.access.authorize_subscribe(client, filter.filter()).is_ok())
    }
}
