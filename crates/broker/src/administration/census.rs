//! What waits in all sessions together, counted when it is asked for.

use std::sync::Arc;

use crate::broker::Core;
use crate::session_handle::Session;

/// How many sessions are taken out under one lock.
pub(super) const PAGE: usize = 256;

/// What waits in all sessions together.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "http", derive(serde::Serialize))]
pub(crate) struct Census {
    /// Messages in the queues, those among them that a subscription brought.
    pub(crate) queued_messages: u64,
    /// Messages of QoS 1 and 2 that are in flight.
    pub(crate) in_flight: u64,
    /// Those of them that are kept to be sent again.
    pub(crate) kept_in_flight: u64,
    /// Bytes that wait for sockets.
    pub(crate) output_bytes: u64,
    /// The most messages that wait for one session.
    pub(crate) longest_queue: u64,
}

impl Core {
    /// Looks at every session for a moment.
    pub(crate) fn census(&self) -> Census {
        let mut census = Census::default();
        for session in self.all_sessions() {
            let depth = session.outbound.lock().owed.depth();
            census.queued_messages += depth.queued_messages as u64;
            census.in_flight += depth.in_flight as u64;
            census.kept_in_flight += depth.kept_in_flight as u64;
            census.output_bytes += depth.output_bytes as u64;
            census.longest_queue = census.longest_queue.max(depth.queued_messages as u64);
        }
        census
    }

    /// Every session, in the order of client ids, without a lock in between.
    pub(crate) fn all_sessions(&self) -> impl Iterator<Item = Arc<Session>> {
        let mut page = self.sessions.lock().after(None, PAGE).into_iter();
        std::iter::from_fn(move || {
            let session = page.next()?;
            if page.len() == 0 {
                page = self.sessions.lock().after(Some(&session.client_id), PAGE).into_iter();
            }
            Some(session)
        })
    }
}
