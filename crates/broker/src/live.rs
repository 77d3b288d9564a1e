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
    /// given up. Whoever it was that answered, the message may be on its way
    /// still. So its connection is left alone at the deadline only
    ///
    /// - at QoS 1, if the PUBACK has come;
    /// - at QoS 0, if the receiver's system has acknowledged the bytes. That
    ///   is known of TCP on Linux, of Unix sockets, and of connections within
    ///   the process; where it cannot be known, the connection is reset.
    ///
    /// At QoS 0 a receiver, or a proxy on the way, that has the bytes in its
    /// buffer and reads them late is not cut off: they are beyond the reach of
    /// a reset. What must not be acted on late says in itself until when it
    /// holds, or is subscribed to at QoS 1.
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
    Sent(mpsc::UnboundedSender<LiveEvent>),
    /// It may be on its way, and nobody needs to be told.
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
        matches!(*self.state.lock(), State::Sent(_) | State::Confirmed)
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(*self.state.lock(), State::Over)
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(*self.state.lock(), State::Confirmed)
    }

    pub(crate) fn sent(&self) {
        let mut state = self.state.lock();
        if let State::Waiting(events) = &*state {
            self.tell(events, LiveStatus::Sent);
            *state = State::Sent(events.clone());
        }
    }

    /// The receiver's system has it, and its taking it was confirmed.
    pub(crate) fn arrived(&self) {
        self.end(LiveStatus::Delivered);
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
            State::Sent(_) | State::Confirmed => State::Confirmed,
            State::Waiting(_) | State::Over => State::Over,
        };
    }

    fn end(&self, what: LiveStatus) {
        let mut state = self.state.lock();
        if let State::Waiting(events) | State::Sent(events) = &*state {
            self.tell(events, what);
        }
        *state = State::Over;
    }

    fn tell(&self, events: &mpsc::UnboundedSender<LiveEvent>, what: LiveStatus) {
        // Nobody listens any more: the command was settled.
        let _ = events.send(LiveEvent { client: self.client.clone(), what });
    }
}
