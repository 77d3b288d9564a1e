//! Live publishes: to who is connected now, never queued, never sent again,
//! and cut off at a deadline. It is how a lock is told to open.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::ClientInfo;

/// What becomes of a live publish; events come per receiver.
#[derive(Debug)]
pub struct LivePublish {
    receivers: Vec<Arc<ClientInfo>>,
    tickets: Vec<Arc<Ticket>>,
    events: mpsc::UnboundedReceiver<LiveEvent>,
}

/// One event of a live publish.
#[derive(Debug, Clone)]
pub struct LiveEvent {
    /// The receiver.
    pub client: Arc<ClientInfo>,
    /// What happened.
    pub what: LiveStatus,
}

/// What happened to a live publish at one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveStatus {
    /// It was handed to the socket, and may arrive from now on.
    Sent,
    /// End: the receiver's PUBACK came.
    Delivered,
    /// End: it never left, and its time is up.
    Expired,
    /// End: it never left, and its receiver is gone or takes no more.
    NotSent,
    /// End: it left, and was not taken. Its connection is over: ended by
    /// itself, or reset at the deadline, so that nothing arrives later; or its
    /// PUBACK says that the receiver refuses it.
    Lost,
}

impl LivePublish {
    pub(crate) fn new(
        tickets: Vec<Arc<Ticket>>,
        events: mpsc::UnboundedReceiver<LiveEvent>,
    ) -> Self {
        let receivers = tickets.iter().map(|ticket| ticket.client.clone()).collect();
        Self { receivers, tickets, events }
    }

    /// Who was connected and subscribed; nobody: nothing was sent, and
    /// nothing will be.
    pub fn receivers(&self) -> &[Arc<ClientInfo>] {
        &self.receivers
    }

    /// The next event; nothing when every receiver has come to its end.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        self.events.recv().await
    }

    /// What a receiver has to be told by who sent this: it was answered by
    /// other means. See [`LiveReceipt::confirm`].
    pub fn receipt(&self) -> LiveReceipt {
        LiveReceipt { tickets: self.tickets.clone() }
    }
}

/// Confirms a live publish by other means than a PUBACK.
#[derive(Debug, Clone)]
pub struct LiveReceipt {
    tickets: Vec<Arc<Ticket>>,
}

impl LiveReceipt {
    /// Somebody has it: nothing more is told, and what still waits unsent is
    /// given up. A receiver at QoS 0 keeps its connection at the deadline;
    /// one that owes a PUBACK does so only if that comes, for until then the
    /// message may arrive late, whoever it was that answered.
    pub fn confirm(&self) {
        for ticket in &self.tickets {
            ticket.confirm();
        }
    }
}

/// One receiver of a live publish.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) client: Arc<ClientInfo>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// The window is full.
    Waiting(mpsc::UnboundedSender<LiveEvent>),
    /// It is on its way.
    Sent { events: mpsc::UnboundedSender<LiveEvent>, owes_puback: bool },
    /// It is on its way, and nobody needs to be told.
    Confirmed,
    /// Nothing more will be told.
    Over,
}

impl Ticket {
    pub(crate) fn new(
        client: Arc<ClientInfo>,
        events: mpsc::UnboundedSender<LiveEvent>,
    ) -> Arc<Self> {
        Arc::new(Self { client, state: Mutex::new(State::Waiting(events)) })
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(*self.state.lock(), State::Waiting(_))
    }

    pub(crate) fn is_sent(&self) -> bool {
        matches!(*self.state.lock(), State::Sent { .. } | State::Confirmed)
    }

    pub(crate) fn sent(&self, owes_puback: bool) {
        let mut state = self.state.lock();
        if let State::Waiting(events) = &*state {
            self.tell(events, LiveStatus::Sent);
            *state = State::Sent { events: events.clone(), owes_puback };
        }
    }

    pub(crate) fn delivered(&self) {
        self.end(LiveStatus::Delivered);
    }

    pub(crate) fn expired(&self) {
        self.end(LiveStatus::Expired);
    }

    pub(crate) fn gone_unsent(&self) {
        self.end(LiveStatus::NotSent);
    }

    pub(crate) fn lost(&self) {
        self.end(LiveStatus::Lost);
    }

    fn confirm(&self) {
        let mut state = self.state.lock();
        *state = match *state {
            State::Sent { owes_puback: true, .. } | State::Confirmed => State::Confirmed,
            _ => State::Over,
        };
    }

    fn end(&self, what: LiveStatus) {
        let mut state = self.state.lock();
        if let State::Waiting(events) | State::Sent { events, .. } = &*state {
            self.tell(events, what);
        }
        *state = State::Over;
    }

    fn tell(&self, events: &mpsc::UnboundedSender<LiveEvent>, what: LiveStatus) {
        // Nobody listens any more: the command was settled.
        let _ = events.send(LiveEvent { client: self.client.clone(), what });
    }
}
