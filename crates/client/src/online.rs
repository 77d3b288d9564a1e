//! The work of a client while one connection stands.
use std::collections::HashSet;
use std::time::Duration;

use latchlight_mqtt::{ConnAck, Disconnect, Packet, PacketId, ProtocolVersion, ReasonCode};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use crate::connection::Connection;
use crate::driver::{Driver, End};
use crate::error::ConnectionError;
use crate::event::Event;
use crate::request::{Command, Request};
use crate::server_limits::ServerLimits;

/// With more bytes than this unwritten, no further requests are taken.
const UNWRITTEN_BOUND: usize = 64 * 1024;
/// How long a disconnect waits for messages on their way, and again for the last bytes.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The least time that a server is given to answer a ping.
const SHORTEST_PING_WAIT: Duration = Duration::from_secs(2);

/// One connection and the driver that it serves.
pub(crate) struct Online<'a> {
    pub(crate) driver: &'a mut Driver,
    pub(crate) connection: Connection,
    pub(crate) limits: ServerLimits,
    /// How many of our messages of QoS 1 and 2 may be on their way.
    pub(crate) window: usize,
    /// After how much silence a ping is due.
    ping_after: Option<Duration>,
    pub(crate) pinged_at: Option<Instant>,
    closing: Option<Closing>,
    /// QoS 2 messages that came on this connection and wait for the owner's acknowledgement.
    pub(crate) unanswered: HashSet<PacketId>,
}

/// A disconnect that waits for messages on their way.
struct Closing {
    packet: Disconnect,
    done: oneshot::Sender<()>,
    deadline: Instant,
}

/// What woke the loop.
enum Woken {
    Command(Option<Command>),
    Request(Option<Request>),
    Received(Result<Packet, ConnectionError>),
    EventsTaken,
    PingDue,
    ClosingDue,
}

impl<'a> Online<'a> {
    pub(crate) fn new(driver: &'a mut Driver, connection: Connection, connack: &ConnAck) -> Self {
        let limits = ServerLimits::from_connack(connack);
        let own_keep_alive = Duration::from_secs(driver.options.keep_alive_seconds().into());
        // The server's keep alive replaces ours [MQTT-3.1.2-21].
        let keep_alive = limits.keep_alive.unwrap_or(own_keep_alive);
        let window = limits.receive_maximum.min(usize::from(driver.options.max_in_flight.max(1)));
        Self {
            driver,
            connection,
            limits,
            window,
            ping_after: (!keep_alive.is_zero()).then(|| keep_alive * 3 / 4),
            pinged_at: None,
            closing: None,
            unanswered: HashSet::new(),
        }
    }

    /// Works until the connection ends.
    pub(crate) async fn run(mut self, connack: ConnAck) -> End {
        if let Err(error) = self.resume(&connack) {
            return End::Lost(error);
        }
        self.driver.outbox.push(Event::Connected(Box::new(connack)));
        loop {
            if self.closing.is_some() && self.driver.exchanges.no_publishes() {
                return self.close().await;
            }
            let step = match self.next().await {
                Woken::Command(command) => match self.command(command) {
                    Some(Command::Abort { done }) => {
                        self.connection.abort();
                        let _ = done.send(());
                        return End::Stopped;
                    }
                    Some(Command::DropConnection) => {
                        self.connection.abort();
                        return End::Lost(ConnectionError::Dropped);
                    }
                    _ => Ok(()),
                },
                Woken::Request(Some(request)) => {
                    self.request(request);
                    Ok(())
                }
                Woken::Request(None) | Woken::EventsTaken => Ok(()),
                Woken::Received(received) => received.and_then(|packet| self.receive(packet)),
                Woken::PingDue => self.ping(),
                Woken::ClosingDue => return self.close().await,
            };
            if let Err(error) = step {
                return self.fail(error).await;
            }
        }
    }

    async fn next(&mut self) -> Woken {
        let driver = &mut *self.driver;
        let takes_requests = self.closing.is_none()
            && self.connection.queued() < UNWRITTEN_BOUND
            && driver.exchanges.has_room(self.window);
        let ping_due = self.ping_after.map(|after| match self.pinged_at {
            Some(pinged) => pinged + after.max(SHORTEST_PING_WAIT),
            None => self.connection.last_write() + after,
        });
        let closing_due = self.closing.as_ref().map(|closing| closing.deadline);
        let reading = driver.outbox.is_empty();
        tokio::select! {
            biased;
            command = driver.commands.recv(), if self.closing.is_none() => Woken::Command(command),
            request = driver.requests.recv(), if takes_requests && !driver.requests.is_closed() =>
                Woken::Request(request),
            received = self.connection.drive(reading) => Woken::Received(received),
            () = driver.outbox.drain(), if !reading => Woken::EventsTaken,
            () = sleep_until_some(ping_due) => Woken::PingDue,
            () = sleep_until_some(closing_due) => Woken::ClosingDue,
        }
    }

    fn ping(&mut self) -> Result<(), ConnectionError> {
        match self.pinged_at {
            // While our owner keeps us from reading, silence says nothing about the server.
            Some(pinged) if self.driver.outbox.is_empty() => {
                Err(ConnectionError::PingUnanswered(pinged.elapsed()))
            }
            _ => {
                self.pinged_at = Some(Instant::now());
                Ok(self.connection.queue(&Packet::PingReq)?)
            }
        }
    }

    /// Does what can be done here; hands back what ends the connection.
    fn command(&mut self, command: Option<Command>) -> Option<Command> {
        match command {
            Some(Command::Acknowledge { receipt, reason }) => {
                self.acknowledge(receipt, reason);
                None
            }
            Some(Command::Disconnect { packet, done }) => {
                let deadline = Instant::now() + DISCONNECT_TIMEOUT;
                self.closing = Some(Closing { packet, done, deadline });
                None
            }
            // Every front is gone: nobody can ask for more.
            None => {
                let reason = ReasonCode::Success;
                let packet = Disconnect { reason, properties: Default::default() };
                let (done, _) = oneshot::channel();
                let deadline = Instant::now() + DISCONNECT_TIMEOUT;
                self.closing = Some(Closing { packet, done, deadline });
                None
            }
            ending => ending,
        }
    }

    /// The connection cannot go on: MQTT 5 servers are told why, if it was their packet.
    async fn fail(mut self, error: ConnectionError) -> End {
        let reason = match &error {
            ConnectionError::Decode(decode) => decode.reason(),
            ConnectionError::Unexpected { .. } => ReasonCode::ProtocolError,
            _ => return End::Lost(error),
        };
        if self.connection.version() == ProtocolVersion::V5 {
            let packet = Disconnect { reason, properties: Default::default() };
            // The connection ends either way.
            let _ = timeout(DISCONNECT_TIMEOUT, self.connection.send(&Packet::Disconnect(packet)))
                .await;
        }
        End::Lost(error)
    }

    /// Sends the DISCONNECT and ends the connection.
    async fn close(mut self) -> End {
        if let Some(closing) = self.closing.take() {
            let ending = async {
                self.connection.send(&Packet::Disconnect(closing.packet)).await?;
                self.connection.shutdown().await
            };
            // A connection that takes no bytes any more ends without them.
            let _ = timeout(DISCONNECT_TIMEOUT, ending).await;
            let _ = closing.done.send(());
        }
        End::Stopped
    }
}

async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
