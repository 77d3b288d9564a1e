//! Sessions and their subscriptions, as an administrator sees them.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use latchlight_mqtt::{ReasonCode, SubscriptionOptions, TopicFilter};

use super::census::PAGE;
use crate::broker::Core;
use crate::deadlines::Due;
use crate::line::Closing;
use crate::session_handle::Session;
use crate::{Broker, ClientInfo, Traffic};

/// A session at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionDetails {
    /// Its client id.
    pub client_id: Arc<str>,
    /// Whose it is.
    pub identity: Arc<str>,
    /// Whether its client is connected.
    pub connected: bool,
    /// Who is connected, or was; nobody where that was before the broker began.
    pub client: Option<Arc<ClientInfo>>,
    /// What is left of it, where its client is not connected.
    pub expires_in: Option<Duration>,
    /// It has a will that may still be published.
    pub has_will: bool,
    /// How many subscriptions it has.
    pub subscriptions: usize,
    /// Messages that wait in its queue.
    pub queued_messages: usize,
    /// Their bytes of topics and payloads, without those of retained messages
    /// that a subscription brought.
    pub queued_bytes: usize,
    /// Messages of QoS 1 and 2 that it has not finished taking.
    pub in_flight: usize,
    /// Bytes that wait for its socket.
    pub output_bytes: usize,
    /// What its client has sent.
    pub received: Traffic,
    /// What its client was sent.
    pub sent: Traffic,
    /// Messages that it did not get, for whatever reason.
    pub dropped: u64,
}

/// A subscription of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionDetails {
    /// The client id of the session.
    pub client_id: Arc<str>,
    /// To what; `$share/<name>/` stands before a shared one.
    pub filter: TopicFilter,
    /// How.
    pub options: SubscriptionOptions,
    /// Its identifier, in MQTT 5.
    pub identifier: Option<u32>,
}

/// Goes through sessions in the order of client ids, a page at a time: who
/// comes or goes meanwhile may be in it or not.
pub struct Sessions {
    core: Arc<Core>,
    page: std::vec::IntoIter<Arc<Session>>,
    last: Option<Arc<str>>,
}

impl Iterator for Sessions {
    type Item = SessionDetails;

    fn next(&mut self) -> Option<SessionDetails> {
        let session = self.next_session()?;
        Some(session.details(&self.core))
    }
}

impl Sessions {
    fn next_session(&mut self) -> Option<Arc<Session>> {
        if self.page.len() == 0 {
            self.page = self.core.sessions.lock().after(self.last.as_deref(), PAGE).into_iter();
        }
        let session = self.page.next()?;
        self.last = Some(session.client_id.clone());
        Some(session)
    }
}

impl Broker {
    /// Every session, with and without a connection.
    pub fn sessions(&self) -> Sessions {
        Sessions { core: self.core.clone(), page: Vec::new().into_iter(), last: None }
    }

    /// The sessions that follow this client id in the order of client ids: to
    /// go on where a page has ended.
    pub fn sessions_after(&self, client_id: &str) -> Sessions {
        Sessions { last: Some(client_id.into()), ..self.sessions() }
    }

    /// One session.
    pub fn session(&self, client_id: &str) -> Option<SessionDetails> {
        Some(self.core.session(client_id)?.details(&self.core))
    }

    /// The subscriptions of all sessions, in the order of client ids.
    pub fn subscriptions(&self) -> impl Iterator<Item = SubscriptionDetails> {
        let mut sessions = self.sessions();
        std::iter::from_fn(move || sessions.next_session())
            .flat_map(|session| session.subscription_details())
    }

    /// The subscriptions of one session; nothing: there is no such session.
    pub fn subscriptions_of(&self, client_id: &str) -> Option<Vec<SubscriptionDetails>> {
        Some(self.core.session(client_id)?.subscription_details())
    }

    /// Who is connected.
    pub fn clients(&self) -> Vec<Arc<ClientInfo>> {
        self.core.all_sessions().filter_map(|session| session.client()).collect()
    }

    /// Who is connected and subscribed to what matches this topic, other than
    /// by a shared subscription.
    pub fn connected_subscribers(&self, topic: &str) -> Vec<Arc<ClientInfo>> {
        let route = self.core.index.route(topic);
        route.sessions.iter().filter_map(|target| target.session.client()).collect()
    }

    /// Who is connected and holds this very filter.
    pub fn subscribed_to(&self, filter: &str) -> Vec<Arc<ClientInfo>> {
        let Ok(filter) = TopicFilter::try_from(filter) else { return Vec::new() };
        let holds = |session: &Arc<Session>| session.subscriptions.lock().contains(&filter);
        self.core.all_sessions().filter(holds).filter_map(|session| session.client()).collect()
    }

    /// Closes the connection of a client; its session stays. False: it has
    /// none.
    pub fn disconnect(&self, client_id: &str, reason: ReasonCode) -> bool {
        self.core.session(client_id).is_some_and(|session| session.disconnect(reason))
    }

    /// Ends a session, with what waits in it: its connection is closed, in
    /// MQTT 5 with this reason, and its will is published. When this is done,
    /// nothing of it counts any more. False: there is none of this client id.
    pub async fn end_session(&self, client_id: &str, reason: ReasonCode) -> bool {
        let Some(session) = self.core.session(client_id) else { return false };
        session.revoke();
        loop {
            let ended = session.drained().notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if session.is_over() {
                return true;
            }
            let epoch = session.outbound.lock().epoch;
            if !session.disconnect(reason) {
                {
                    let recorder = self.core.recorder.as_ref();
                    let _together = recorder.map(|recorder| recorder.together());
                    self.core.discard(&session, epoch);
                }
                self.core.hooks.tell();
                continue;
            }
            tokio::select! {
                () = ended => {}
                // Nobody is left to end it, and nobody comes back to it.
                () = self.core.stop.cancelled() => return true,
            }
        }
    }

    /// Whether the store cannot be written, or a commit does not end: what would
    /// have to be kept is refused meanwhile. For health checks.
    pub fn is_store_failing(&self) -> bool {
        self.core.is_store_failing()
    }

    /// Waits until all that has changed up to now is in the store, if there is
    /// one, for as long as that takes. False: the broker was closed before.
    pub async fn persisted(&self) -> bool {
        let Some(recorder) = &self.core.recorder else { return true };
        tokio::select! {
            () = recorder.catch_up() => true,
            () = self.core.stop.cancelled() => false,
        }
    }
}

impl Core {
    pub(crate) fn is_store_failing(&self) -> bool {
        self.recorder.as_ref().is_some_and(|recorder| recorder.is_failing())
    }

    pub(crate) fn session(&self, client_id: &str) -> Option<Arc<Session>> {
        self.sessions.lock().get(client_id).cloned()
    }
}

impl Session {
    /// Closes its connection; false: it has none.
    fn disconnect(&self, reason: ReasonCode) -> bool {
        let mut line = self.outbound.lock();
        let connected = line.owed.is_connected();
        if connected {
            line.close(Closing { reason, say: true, reset: false });
        }
        connected
    }

    fn details(&self, core: &Core) -> SessionDetails {
        let subscriptions = self.subscriptions.lock().len();
        let line = self.outbound.lock();
        let depth = line.owed.depth();
        let left = |end: Due| Duration::from_millis(end.get().saturating_sub(core.clock.now()));
        SessionDetails {
            client_id: self.client_id.clone(),
            identity: self.identity.clone(),
            connected: line.owed.is_connected(),
            client: line.info.clone(),
            expires_in: line.timers.end.map(left),
            has_will: line.will.is_some(),
            subscriptions,
            queued_messages: depth.queued_messages,
            queued_bytes: depth.queued_bytes,
            in_flight: depth.in_flight,
            output_bytes: depth.output_bytes,
            received: self.inbound.lock().received.get(),
            sent: line.owed.sent(),
            dropped: line.owed.dropped(),
        }
    }

    fn subscription_details(&self) -> Vec<SubscriptionDetails> {
        let subscriptions = self.subscriptions.lock();
        let held = subscriptions.iter().map(|(filter, held)| SubscriptionDetails {
            client_id: self.client_id.clone(),
            filter: filter.clone(),
            options: held.options,
            identifier: held.identifier.map(NonZeroU32::get),
        });
        held.collect()
    }
}
