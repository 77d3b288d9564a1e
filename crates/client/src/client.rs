//! The front of a client: one verb per request.
use bytes::Bytes;
use latchlight_mqtt::{
    Disconnect, Publish, QoS, ReasonCode, SubscribeFilter, SubscriptionOptions, TopicFilter,
    TopicName,
};
use tokio::sync::{mpsc, oneshot};

use crate::driver::Driver;
use crate::error::ClientError;
use crate::event::{Events, Message};
use crate::options::ClientOptions;
use crate::request::{Command, Request};

/// How many acknowledgements and ends of the connection may wait for the driver.
const COMMAND_QUEUE: usize = 64;

/// A client that keeps itself connected: pings, reconnects with backoff and jitter, subscribes
/// again where the server forgot, sends unanswered messages again.
///
/// Clones share the connection. When the last one is dropped the client disconnects.
#[derive(Debug, Clone)]
pub struct Client {
    requests: mpsc::Sender<Request>,
    commands: mpsc::Sender<Command>,
}

impl Client {
    /// Connects, and fails if the first attempt fails. Later losses of the connection are repaired
    /// and told as events. Must be called inside a tokio runtime.
    pub async fn connect(options: ClientOptions) -> Result<(Self, Events), ClientError> {
        let (client, events, mut driver) = Self::build(options);
        let first = driver.connect_once().await?;
        tokio::spawn(driver.run(Some(first)));
        Ok((client, events))
    }

    /// Starts to connect and goes on trying; requests wait until a connection stands. Must be
    /// called inside a tokio runtime.
    pub fn start(options: ClientOptions) -> (Self, Events) {
        let (client, events, driver) = Self::build(options);
        tokio::spawn(driver.run(None));
        (client, events)
    }

    fn build(options: ClientOptions) -> (Self, Events, Driver) {
        // Full queues make the caller wait (requests, commands) or the server (events).
        let (requests, request_receiver) = mpsc::channel(options.request_queue.max(1));
        let (commands, command_receiver) = mpsc::channel(COMMAND_QUEUE);
        let (event_sender, receiver) = mpsc::channel(options.event_queue.max(1));
        let driver = Driver::new(options, request_receiver, command_receiver, event_sender);
        (Self { requests, commands }, Events { receiver }, driver)
    }

    /// Publishes and waits: at QoS 0 until the message stands in the write buffer, at QoS 1 and 2
    /// until the server has it for good, over as many reconnects as that takes. Answers with the
    /// server's reason code, which may be "no matching subscribers".
    ///
    /// Do not await this in the task that reads the [`Events`] if their queue can fill meanwhile:
    /// a full queue keeps the client from reading the acknowledgement.
    pub async fn publish(
        &self,
        topic: impl AsRef<str>,
        payload: impl Into<Bytes>,
        qos: QoS,
        retain: bool,
    ) -> Result<ReasonCode, ClientError> {
        let topic = TopicName::try_from(topic.as_ref())?;
        let publish = Publish::new(topic.as_byte_string().clone(), payload);
        self.publish_packet(Publish { qos, retain, ..publish }).await
    }

    /// Publishes a PUBLISH with whatever properties it has; its packet id is chosen here. See
    /// [`publish`](Self::publish).
    pub async fn publish_packet(&self, publish: Publish) -> Result<ReasonCode, ClientError> {
        self.request(|done| Request::Publish { publish, done }).await
    }

    /// Subscribes to one filter and waits for the answer: the granted QoS as a reason code, or
    /// [`ClientError::Refused`].
    pub async fn subscribe(
        &self,
        filter: impl AsRef<str>,
        qos: QoS,
    ) -> Result<ReasonCode, ClientError> {
        let filter = TopicFilter::try_from(filter.as_ref())?;
        let options = SubscriptionOptions::qos(qos);
        let reasons = self.subscribe_all(vec![SubscribeFilter { filter, options }]).await?;
        match reasons.first() {
            Some(reason) if !reason.is_error() => Ok(*reason),
            Some(reason) => Err(ClientError::Refused(*reason)),
            None => Err(ClientError::Refused(ReasonCode::ProtocolError)),
        }
    }

    /// Subscribes to several filters with one packet and answers with the server's reason code for
    /// each. What was granted is subscribed to again after a reconnect.
    pub async fn subscribe_all(
        &self,
        filters: Vec<SubscribeFilter>,
    ) -> Result<Vec<ReasonCode>, ClientError> {
        self.request(|done| Request::Subscribe { filters, done }).await
    }

    /// Ends a subscription and answers with the server's reason code.
    pub async fn unsubscribe(&self, filter: impl AsRef<str>) -> Result<ReasonCode, ClientError> {
        let filters = vec![TopicFilter::try_from(filter.as_ref())?];
        let reasons = self.request(|done| Request::Unsubscribe { filters, done }).await?;
        Ok(reasons.first().copied().unwrap_or(ReasonCode::Success))
    }

    /// Acknowledges a message that came with
    /// [`Acknowledge::Manually`](crate::Acknowledge::Manually). One that came over an earlier
    /// connection is left out: the server sends it again.
    pub async fn acknowledge(&self, message: &Message) -> Result<(), ClientError> {
        self.acknowledge_with(message, ReasonCode::Success).await
    }

    /// Acknowledges a message with a reason code, which MQTT 5 servers are told.
    pub async fn acknowledge_with(
        &self,
        message: &Message,
        reason: ReasonCode,
    ) -> Result<(), ClientError> {
        match message.receipt {
            Some(receipt) => self.command(Command::Acknowledge { receipt, reason }).await,
            None => Ok(()),
        }
    }

    /// Ends the connection without a DISCONNECT; the client connects again as after any loss.
    pub async fn drop_connection(&self) -> Result<(), ClientError> {
        self.command(Command::DropConnection).await
    }

    /// Waits (2 seconds at most) for the messages on their way, sends a DISCONNECT, so that no will
    /// is published, and stops for good.
    pub async fn disconnect(&self) -> Result<(), ClientError> {
        let reason = ReasonCode::Success;
        self.disconnect_with(Disconnect { reason, properties: Default::default() }).await
    }

    /// As [`disconnect`](Self::disconnect), with a DISCONNECT of your own: one that asks for the
    /// will to be published, or with another session expiry.
    pub async fn disconnect_with(&self, packet: Disconnect) -> Result<(), ClientError> {
        let (done, answer) = oneshot::channel();
        self.command(Command::Disconnect { packet, done }).await?;
        // The driver drops the sender where it ends before it comes to it: stopped as well.
        let _ = answer.await;
        Ok(())
    }

    /// Ends the connection as a device whose power fails, by a TCP reset and without a DISCONNECT,
    /// and stops for good.
    pub async fn abort(&self) -> Result<(), ClientError> {
        let (done, answer) = oneshot::channel();
        self.command(Command::Abort { done }).await?;
        let _ = answer.await;
        Ok(())
    }

    async fn command(&self, command: Command) -> Result<(), ClientError> {
        self.commands.send(command).await.map_err(|_| ClientError::Stopped)
    }

    async fn request<T>(
        &self,
        build: impl FnOnce(oneshot::Sender<Result<T, ClientError>>) -> Request,
    ) -> Result<T, ClientError> {
        let (done, answer) = oneshot::channel();
        self.requests.send(build(done)).await.map_err(|_| ClientError::Stopped)?;
        answer.await.map_err(|_| ClientError::Stopped)?
    }
}
