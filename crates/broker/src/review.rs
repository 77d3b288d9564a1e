//! What becomes of a session when the access hook says something else.

use std::sync::Arc;

use latchlight_mqtt::ReasonCode;

use crate::ClientInfo;
use crate::access::Review;
use crate::broker::Core;
use crate::line::Closing;
use crate::session_handle::Session;

impl Core {
    /// Asks the access hook again about one session; true if it is not kept as
    /// it is.
    pub(crate) fn review(&self, session: &Arc<Session>) -> bool {
        let known = session.outbound.lock().info.clone();
        let client = known.clone().unwrap_or_else(|| Arc::new(session.absent_client()));
        let (reason, ends) = match self.access.review(&client) {
            // Where it comes from may matter: it is asked when somebody comes.
            Review::Keep if known.is_none() => return false,
            Review::Keep if self.allows_all_that(session, &client) => return false,
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
