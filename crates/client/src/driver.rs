//! The task behind a client: connects, waits, connects again.
use std::collections::VecDeque;
use std::time::Duration;

use latchlight_mqtt::{ConnAck, ProtocolVersion, ReasonCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::connection::Connection;
use crate::error::ConnectionError;
use crate::event::Event;
use crate::exchanges::Exchanges;
use crate::online::Online;
use crate::options::ClientOptions;
use crate::request::{Command, Request};
use crate::subscriptions::Subscriptions;

/// A connection that held so long starts the backoff anew.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// Why the work on one connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The client is to stop for good.
    Stopped,
    /// The connection is gone.
    Lost(ConnectionError),
}

/// Everything that outlives a connection.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) options: ClientOptions,
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) exchanges: Exchanges,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) outbox: Outbox,
    /// Packet ids of received QoS 2 messages whose PUBREL has not come.
    pub(crate) received: std::collections::HashSet<latchlight_mqtt::PacketId>,
    /// How many connections there have been.
    pub(crate) connections: u64,
}

impl Driver {
    pub(crate) fn new(
        options: ClientOptions,
        requests: mpsc::Receiver<Request>,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            options,
            requests,
            commands,
            exchanges: Exchanges::default(),
            subscriptions: Subscriptions::default(),
            outbox: Outbox { events, waiting: VecDeque::new() },
            received: Default::default(),
            connections: 0,
        }
    }

    /// One attempt to connect.
    pub(crate) async fn connect_once(&mut self) -> Result<(Connection, ConnAck), ConnectionError> {
        let limit = self.options.connect_timeout;
        let connect = self.options.connect_packet(self.connections > 0);
        let address = self.options.address.clone();
        let largest = self.options.max_packet_size;
        let attempt = async {
            let (mut connection, connack) = Connection::connect(address, connect).await?;
            connection.set_max_packet_size(usize::try_from(largest).unwrap_or(usize::MAX));
            Ok((connection, connack))
        };
        timeout(limit, attempt).await.unwrap_or(Err(ConnectionError::TimedOut(limit)))
    }

    /// Works until the client is stopped. `first` is a connection that already stands.
    pub(crate) async fn run(mut self, mut first: Option<(Connection, ConnAck)>) {
        loop {
            let end = match first.take() {
                Some((connection, connack)) => self.online(connection, connack).await,
                None => match self.attempt().await {
                    Some(Ok((connection, connack))) => self.online(connection, connack).await,
                    Some(Err(error)) => End::Lost(error),
                    None => End::Stopped,
                },
            };
            let End::Lost(error) = end else { return };
            self.exchanges.connection_lost();
            let taken_over =
                matches!(error, ConnectionError::Disconnected(ReasonCode::SessionTakenOver));
            let retry_in = (!taken_over).then(|| self.options.backoff.next_wait());
            self.outbox.push(Event::Disconnected { error, retry_in });
            let Some(wait) = retry_in else {
                self.outbox.drain().await;
                return;
            };
            if !self.wait(wait).await {
                return;
            }
        }
    }

    async fn online(&mut self, connection: Connection, connack: ConnAck) -> End {
        let since = Instant::now();
        self.connections += 1;
        if self.options.version == ProtocolVersion::V5
            && let Some(assigned) = &connack.properties.assigned_client_identifier
        {
            self.options.client_id = assigned.clone();
        }
        let end = Online::new(self, connection, &connack).run(connack).await;
        if since.elapsed() >= STABLE_AFTER {
            self.options.backoff.reset();
        }
        end
    }

    /// One attempt to connect, given up (None) when the client is stopped.
    async fn attempt(&mut self) -> Option<Result<(Connection, ConnAck), ConnectionError>> {
        // The attempt borrows the driver, so the commands are taken out for its time.
        let (_, placeholder) = mpsc::channel(1);
        let mut commands = std::mem::replace(&mut self.commands, placeholder);
        let result = tokio::select! {
            () = stopped(&mut commands) => None,
            result = self.connect_once() => Some(result),
        };
        self.commands = commands;
        result
    }

    /// Waits out the backoff, and until the owner has taken what it was told. False: stopped.
    async fn wait(&mut self, backoff: Duration) -> bool {
        let outbox = &mut self.outbox;
        tokio::select! {
            () = stopped(&mut self.commands) => false,
            () = async { tokio::join!(sleep(backoff), outbox.drain()); } => true,
        }
    }
}

/// Takes the commands while there is no connection, and returns when one of them stops the client.
async fn stopped(commands: &mut mpsc::Receiver<Command>) {
    loop {
        match commands.recv().await {
            None => return,
            Some(Command::Disconnect { done, .. } | Command::Abort { done }) => {
                // Whoever asked may have gone; stopped is stopped.
                let _ = done.send(());
                return;
            }
            // What was received before comes again; there is no connection to drop.
            Some(Command::Acknowledge { .. } | Command::DropConnection) => {}
        }
    }
}

/// Events on their way to the owner. While some wait here, nothing is read from the server, so
/// that there are never more than those of one packet.
#[derive(Debug)]
pub(crate) struct Outbox {
    events: mpsc::Sender<Event>,
    waiting: VecDeque<Event>,
}

impl Outbox {
    /// Hands an event over, at once if there is room.
    pub(crate) fn push(&mut self, event: Event) {
        self.waiting.push_back(event);
        while let Some(event) = self.waiting.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.waiting.push_front(event);
                    return;
                }
                // Nobody listens: nobody is told.
                Err(mpsc::error::TrySendError::Closed(_)) => self.waiting.clear(),
            }
        }
    }

    /// Whether everything has been handed over.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Waits until everything has been handed over. Cancel safe.
    pub(crate) async fn drain(&mut self) {
        while !self.waiting.is_empty() {
            match self.events.reserve().await {
                Ok(permit) => {
                    if let Some(event) = self.waiting.pop_front() {
                        permit.send(event);
                    }
                }
                Err(_) => self.waiting.clear(),
            }
        }
    }
}
