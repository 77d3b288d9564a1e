//! The link to an outside broker, over paho-mqtt.
//!
//! Reconnects by itself, with a growing pause; subscribes again after each
//! connection. While the broker is away nothing is kept: what cannot be sent
//! is said to be so at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use paho_mqtt::{
    AsyncClient, AsyncReceiver, DisconnectOptionsBuilder, Event, Message, MessageBuilder,
    Properties, PropertyCode, QoS, ReasonCode, RetainHandling, SubscribeOptionsBuilder, Token,
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::probe::Probe;
use super::{Incoming, Link, LinkEvent, paho_options};
use crate::commands::{Dispatch, Flight, FlightEnd, FlightEvent, NoReceipt, Verb};
use crate::config::{MqttProtocol, MqttSettings};
use crate::device_interface::topics::{CommandMessage, Destination};
use crate::state::{Device, DeviceId};

/// How many publishes may be open at once: paho rejects what goes beyond its
/// own buffers, so the rest waits here.
const WINDOW: usize = 64;

/// The pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a request to the broker may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The link to an outside broker.
pub struct PahoLink {
    client: AsyncClient,
    filters: Mutex<BTreeSet<String>>,
    online_suffix: &'static str,
    up: AtomicBool,
    window: Semaphore,
    settings: MqttSettings,
    probe: Arc<Probe>,
    server_online: Destination,
    events: mpsc::Sender<LinkEvent>,
    dropped: AtomicU64,
    stop: CancellationToken,
}

impl PahoLink {
    /// Begins to connect; the link goes up when the broker is there.
    ///
    /// # Errors
    /// The settings are none that paho takes, or a file that they name is not
    /// good.
    pub fn start(
        settings: &MqttSettings,
        filters: Vec<String>,
        server_online: Destination,
        events: mpsc::Sender<LinkEvent>,
    ) -> anyhow::Result<Arc<Self>> {
        let probe = Arc::new(Probe::new(settings)?);
        let options = paho_options::connect_options(settings, server_online.as_str())?;
        let mut client =
            AsyncClient::new(paho_options::create_options(settings)).context("set up paho-mqtt")?;
        // Unbounded, since a bounded one drops what paho has acknowledged; it
        // is drained at once into `events`, which is bounded and counted.
        let stream = client.get_event_stream(None);
        let link = Arc::new(Self {
            client,
            filters: Mutex::new(filters.into_iter().collect()),
            online_suffix: "/online",
            up: AtomicBool::new(false),
            window: Semaphore::new(WINDOW),
            settings: settings.clone(),
            probe,
            server_online,
            events,
            dropped: AtomicU64::new(0),
            stop: CancellationToken::new(),
        });
        tokio::spawn(link.clone().run(options, stream));
        Ok(link)
    }

    async fn run(
        self: Arc<Self>,
        options: paho_mqtt::ConnectOptions,
        stream: AsyncReceiver<Event>,
    ) {
        let broker = self.settings.broker_without_credentials();
        let mut pause = FIRST_PAUSE;
        while !self.stop.is_cancelled() {
            match self.connect(&options).await {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    self.up.store(true, Ordering::SeqCst);
                    tracing::info!(%broker, "connected to the broker");
                    let _ = self.events.send(LinkEvent::Up).await;
                    self.take_in(&stream).await;
                    self.up.store(false, Ordering::SeqCst);
                    let _ = self.events.send(LinkEvent::Down).await;
                    if !self.stop.is_cancelled() {
                        tracing::warn!(%broker, "the connection to the broker is lost");
                    }
                }
                Err(error) => {
                    tracing::warn!(%broker, error = format!("{error:#}"), retry_in = ?pause, "connect to the broker");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(with_jitter(pause)) => {}
                () = self.stop.cancelled() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&self, options: &paho_mqtt::ConnectOptions) -> anyhow::Result<()> {
        if let Err(error) = self.client.connect(options.clone()).await {
            return Err(self.why(error).await);
        }
        let filters: Vec<String> = self.filters.lock().iter().cloned().collect();
        for filter in filters {
            if let Err(error) = self.ask_for(&filter).await {
                let _ = self.client.disconnect(None).await;
                return Err(error);
            }
        }
        let online = Message::new_retained(self.server_online.as_str(), "online", QoS::AtLeastOnce);
        self.deliver(online).await.context("publish the server's presence")?;
        Ok(())
    }

    /// What a failed connection is put down to.
    async fn why(&self, error: paho_mqtt::Error) -> anyhow::Error {
        match error {
            paho_mqtt::Error::ReasonCode(code, _) => anyhow!("the broker refuses: {code}"),
            paho_mqtt::Error::ConnectReturn(code) => anyhow!("the broker refuses: {code}"),
            error => {
                let probe = self.probe.clone();
                match tokio::task::spawn_blocking(move || probe.obstacle()).await {
                    Ok(Some(obstacle)) => anyhow!(obstacle),
                    _ => anyhow!(error),
                }
            }
        }
    }

    async fn ask_for(&self, filter: &str) -> anyhow::Result<()> {
        let token = match self.settings.protocol {
            MqttProtocol::V311 => self.client.subscribe(filter, QoS::AtLeastOnce),
            MqttProtocol::V5 => {
                // What is retained is not acted on, so it need not come; of
                // presence, what is retained is the point.
                let handling = if filter.ends_with(self.online_suffix) {
                    RetainHandling::SendRetainedOnSubscribe
                } else {
                    RetainHandling::DontSendRetained
                };
                let options = SubscribeOptionsBuilder::new()
                    .retain_as_published(true)
                    .retain_handling(handling)
                    .finalize();
                self.client.subscribe_with_options(filter, QoS::AtLeastOnce, options, None)
            }
        };
        let answer = tokio::time::timeout(PATIENCE, token)
            .await
            .map_err(|_| anyhow!("no answer within {PATIENCE:?}"))
            .and_then(|answer| Ok(answer?))
            .with_context(|| format!("subscribe to {filter}"))?;
        let refused = match self.settings.protocol {
            MqttProtocol::V5 => answer.reason_code() as i32 >= 0x80,
            MqttProtocol::V311 => answer.subscribe_response() == Some(0x80),
        };
        if refused { Err(anyhow!("the broker refuses a subscription to {filter}")) } else { Ok(()) }
    }

    /// Takes in messages until the connection is gone.
    async fn take_in(&self, stream: &AsyncReceiver<Event>) {
        loop {
            let event = tokio::select! {
                event = stream.recv() => event.ok(),
                () = self.stop.cancelled() => return,
            };
            match event {
                Some(Event::Message(message)) => self.pass_on(&message),
                Some(Event::Connected) => {}
                Some(Event::Disconnected { reason_code, .. }) => {
                    tracing::warn!(reason = %reason_code, "the broker disconnects");
                    return;
                }
                Some(Event::ConnectionLost | Event::Shutdown) | None => return,
            }
        }
    }

    fn pass_on(&self, message: &Message) {
        let incoming = Incoming {
            topic: message.topic().into(),
            payload: Bytes::copy_from_slice(message.payload()),
            retained: message.retained(),
            // paho does not say; a repeated command id acts once all the same.
            duplicate: false,
        };
        if self.events.try_send(LinkEvent::Message(incoming)).is_err() {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::error!(
                topic = message.topic(),
                dropped,
                "more messages than the server takes: one is left out"
            );
        }
    }

    async fn deliver(&self, message: Message) -> Result<ReasonCode, paho_mqtt::Error> {
        let token: Token = self.client.publish(message).into();
        match tokio::time::timeout(PATIENCE, token).await {
            Ok(answer) => answer.map(|answer| answer.reason_code()),
            Err(_) => Err(paho_mqtt::Error::Timeout),
        }
    }

    async fn fly(
        self: Arc<Self>,
        message: CommandMessage,
        expires_at: Timestamp,
        events: mpsc::UnboundedSender<FlightEvent>,
    ) {
        let end = match self.send_command(&message, expires_at).await {
            Ok(()) => FlightEvent::Sent,
            Err(end) => FlightEvent::Ended(end),
        };
        let _ = events.send(end);
        // An outside broker says nothing of the device's PUBACK: the flight
        // stays open until the command's own expiry.
        events.closed().await;
    }

    async fn send_command(
        &self,
        message: &CommandMessage,
        expires_at: Timestamp,
    ) -> Result<(), FlightEnd> {
        let left = || Duration::try_from(Timestamp::now().duration_until(expires_at)).ok();
        let too_late = || FlightEnd::NeverLeft("it could not be sent in time".to_owned());
        let wait = left().ok_or_else(too_late)?;
        let permit = tokio::time::timeout(wait, self.window.acquire()).await;
        let _permit = permit.map_err(|_| too_late())?;
        let wait = left().filter(|left| !left.is_zero()).ok_or_else(too_late)?;
        let mut properties = Properties::new();
        if self.settings.protocol == MqttProtocol::V5 {
            // Whole seconds, rounded down so that it is never later.
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
            if seconds == 0 {
                return Err(too_late());
            }
            let pushed = properties.push_u32(PropertyCode::MessageExpiryInterval, seconds);
            pushed.map_err(|error| FlightEnd::Refused(error.to_string()))?;
        }
        let publish = MessageBuilder::new()
            .topic(message.topic.as_str())
            .payload(message.payload.as_str())
            .qos(QoS::AtLeastOnce)
            .retained(false)
            .properties(properties)
            .finalize();
        let token: Token = self.client.publish(publish).into();
        match tokio::time::timeout(wait, token).await {
            Err(_) => Err(FlightEnd::Lost("the broker did not take it in time".to_owned())),
            Ok(Err(paho_mqtt::Error::Disconnected)) if !self.is_up() => {
                Err(FlightEnd::Away("the broker cannot be reached".to_owned()))
            }
            Ok(Err(error)) => Err(FlightEnd::Lost(format!("the broker did not take it: {error}"))),
            Ok(Ok(answer)) => match answer.reason_code() {
                ReasonCode::NoMatchingSubscribers => {
                    Err(FlightEnd::Away("nobody listens on the device's topic".to_owned()))
                }
                code if code as i32 >= 0x80 => {
                    Err(FlightEnd::Refused(format!("the broker refuses it: {code}")))
                }
                _ => Ok(()),
            },
        }
    }

    /// What this link does not carry, as a reason.
    fn unfit(&self, dispatch: &Dispatch) -> Option<FlightEnd> {
        let without_expiry = self.settings.protocol == MqttProtocol::V311;
        if dispatch.verb() == Verb::Unlock && without_expiry && !self.settings.unlock_over_311 {
            return Some(FlightEnd::Refused(
                "over MQTT 3.1.1 a message does not expire, so an unlock could come late: \
                 use MQTT 5, or set mqtt.unlock_over_311"
                    .to_owned(),
            ));
        }
        if !self.is_up() {
            return Some(FlightEnd::Away("the broker cannot be reached".to_owned()));
        }
        None
    }
}

#[async_trait]
impl Link for Arc<PahoLink> {
    async fn subscribe(&self, filter: &str) -> anyhow::Result<()> {
        self.filters.lock().insert(filter.to_owned());
        if self.is_up() { self.ask_for(filter).await } else { Ok(()) }
    }

    async fn unsubscribe(&self, filter: &str) -> anyhow::Result<()> {
        self.filters.lock().remove(filter);
        if self.is_up() {
            self.client.unsubscribe(filter).await?;
        }
        Ok(())
    }

    async fn publish(&self, to: &Destination, payload: Bytes, retain: bool) -> anyhow::Result<()> {
        if !self.is_up() {
            return Err(anyhow!("the broker cannot be reached"));
        }
        let _permit = self.window.acquire().await?;
        let message = MessageBuilder::new()
            .topic(to.as_str())
            .payload(payload)
            .qos(QoS::AtLeastOnce)
            .retained(retain)
            .finalize();
        let code = self.deliver(message).await?;
        if code as i32 >= 0x80 { Err(anyhow!("the broker refuses it: {code}")) } else { Ok(()) }
    }

    async fn launch(&self, _: &Device, message: CommandMessage, dispatch: Dispatch) -> Flight {
        if let Some(end) = self.unfit(&dispatch) {
            return Flight::ended(end);
        }
        let (sender, events) = mpsc::unbounded_channel();
        tokio::spawn(self.clone().fly(message, dispatch.expires_at(), sender));
        Flight { events, receipt: Box::new(NoReceipt) }
    }

    fn adopted(&self, _: &DeviceId, _: &str) {}

    fn presence(&self, _: &DeviceId) -> Option<bool> {
        if self.is_up() { None } else { Some(false) }
    }

    fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }

    async fn close(&self) {
        self.stop.cancel();
        if !self.up.swap(false, Ordering::SeqCst) {
            return;
        }
        let offline =
            Message::new_retained(self.server_online.as_str(), "offline", QoS::AtLeastOnce);
        if let Err(error) = self.deliver(offline).await {
            tracing::warn!(%error, "say goodbye to the broker");
        }
        let options = DisconnectOptionsBuilder::new().timeout(Duration::from_secs(2)).finalize();
        let _ = self.client.disconnect(options).await;
    }
}

impl PahoLink {
    fn is_up(&self) -> bool {
        self.up.load(Ordering::SeqCst)
    }
}

/// Up to a quarter more, so that many servers do not come back all at once.
fn with_jitter(pause: Duration) -> Duration {
    let part = u32::try_from(Timestamp::now().subsec_nanosecond()).unwrap_or(0) % 256;
    pause + pause * part / 1024
}
