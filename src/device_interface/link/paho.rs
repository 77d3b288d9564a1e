//! The link to an outside broker, over paho-mqtt.
//!
//! Connects again by itself, with a growing pause, and subscribes again. Each
//! connection has a client of its own, so that what one did not send, no later
//! one sends. While the broker is away nothing is kept: what cannot be sent is
//! said to be so at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use paho_mqtt::{
    AsyncClient, AsyncReceiver, DisconnectOptionsBuilder, Event, Message, MessageBuilder, QoS,
    ReasonCode, RetainHandling, SubscribeOptionsBuilder,
};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::dial::Dial;
use super::paho_session::{PATIENCE, Session};
use super::relay::{Door, Relay};
use super::{Incoming, Link, LinkEvent, NotTaken, Outgoing, Recording, paho_options};
use crate::commands::{Dispatch, Flight, NoReceipt};
use crate::config::{MqttProtocol, MqttSettings};
use crate::device_interface::topics::{Adopted, CommandMessage, Destination};
use crate::state::{Device, DeviceId};

/// The pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The link to an outside broker.
pub struct PahoLink {
    /// The connection that is up, or else the last one that was: paho stops
    /// and starts its threads when it has no client at all.
    session: Mutex<Option<Arc<Session>>>,
    filters: Mutex<BTreeSet<String>>,
    up: watch::Sender<bool>,
    pub(super) settings: MqttSettings,
    dial: Dial,
    server_online: Destination,
    events: mpsc::Sender<LinkEvent>,
    recording: Recording,
    dropped: AtomicU64,
    stop: CancellationToken,
    running: Mutex<Option<JoinHandle<()>>>,
}

/// What comes of a session, and what carries it.
struct Incomings {
    stream: AsyncReceiver<Event>,
    relay: Relay,
}

impl PahoLink {
    /// Begins to connect; the link goes up when the broker is there.
    ///
    /// # Errors
    /// A file that the settings name is not good.
    pub fn start(
        settings: &MqttSettings,
        filters: Vec<String>,
        server_online: Destination,
        events: mpsc::Sender<LinkEvent>,
        recording: Recording,
    ) -> anyhow::Result<Arc<Self>> {
        let link = Arc::new(Self {
            session: Mutex::default(),
            filters: Mutex::new(filters.into_iter().collect()),
            up: watch::Sender::new(false),
            settings: settings.clone(),
            dial: Dial::new(settings)?,
            server_online,
            events,
            recording,
            dropped: AtomicU64::new(0),
            stop: CancellationToken::new(),
            running: Mutex::default(),
        });
        *link.running.lock() = Some(tokio::spawn(link.clone().run()));
        Ok(link)
    }

    async fn run(self: Arc<Self>) {
        let broker = self.settings.broker_without_credentials();
        let mut pause = FIRST_PAUSE;
        while !self.stop.is_cancelled() {
            match self.connect().await {
                Ok((session, incomings)) => {
                    pause = FIRST_PAUSE;
                    self.up.send_replace(true);
                    tracing::info!(%broker, "connected to the broker");
                    let _ = self.events.send(LinkEvent::Up).await;
                    self.take_in(&incomings.stream).await;
                    self.up.send_replace(false);
                    if self.stop.is_cancelled() {
                        self.say_goodbye(&session, incomings.relay).await;
                        return;
                    }
                    session.close();
                    let _ = self.events.send(LinkEvent::Down).await;
                    tracing::warn!(%broker, "the connection to the broker is lost");
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

    async fn connect(&self) -> anyhow::Result<(Arc<Session>, Incomings)> {
        let wire = self.dial.connect().await?;
        let door = Door::open().context("open a socket for paho-mqtt")?;
        let held = Box::new(door.held());
        let options = paho_options::create_options(&self.settings, &door.socket(), held);
        let mut client = AsyncClient::new(options).context("set up paho-mqtt")?;
        // Unbounded, since a bounded one drops what paho has acknowledged; it
        // is drained at once into `events`, which is bounded and counted.
        let stream = client.get_event_stream(None);
        let session = Arc::new(Session::new(client));
        let previous = self.session.lock().replace(session.clone());
        drop(previous);
        let options = paho_options::connect_options(&self.settings, self.server_online.as_str());
        // Not to be left before it has an answer: it holds on to the client.
        let connecting = session.client.connect(options);
        let relay = door.relay(wire).await;
        let answer = connecting.await;
        let mut relay = relay.context("let paho-mqtt in")?;
        session.is_carried_by(&relay);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Err(self.why(error, &mut relay).await),
        };
        session.open(&answer);
        let filters: Vec<String> = self.filters.lock().iter().cloned().collect();
        for filter in filters {
            self.ask_for(&session, &filter, false).await?;
        }
        for filter in self.recording.filters() {
            // Devices are reached all the same.
            if let Err(error) = self.ask_for(&session, filter.as_str(), true).await {
                tracing::error!(error = format!("{error:#}"), "messages are not recorded");
            }
        }
        let online = Message::new_retained(self.server_online.as_str(), "online", QoS::AtLeastOnce);
        session.deliver(online).await.context("publish the server's presence")?;
        Ok((session, Incomings { stream, relay }))
    }

    /// What a failed connection is put down to.
    async fn why(&self, error: paho_mqtt::Error, relay: &mut Relay) -> anyhow::Error {
        match error {
            paho_mqtt::Error::ReasonCode(code, _) => anyhow!("the broker refuses: {code}"),
            paho_mqtt::Error::ConnectReturn(code) => anyhow!("the broker refuses: {code}"),
            error => match relay.ended().await {
                Some(failure) => self.dial.why(failure),
                None => anyhow!(error),
            },
        }
    }

    /// Subscribes; what is only recorded, without what this server says there.
    async fn ask_for(
        &self,
        session: &Session,
        filter: &str,
        is_recorded: bool,
    ) -> anyhow::Result<()> {
        let token = match self.settings.protocol {
            MqttProtocol::V311 => session.client.subscribe(filter, QoS::AtLeastOnce),
            MqttProtocol::V5 => {
                // What is retained is not acted on, so it need not come; of
                // presence, what is retained is the point.
                let handling = if filter.ends_with("/online") && !is_recorded {
                    RetainHandling::SendRetainedOnSubscribe
                } else {
                    RetainHandling::DontSendRetained
                };
                let options = SubscribeOptionsBuilder::new()
                    .retain_as_published(true)
                    .retain_handling(handling)
                    .no_local(is_recorded)
                    .finalize();
                session.client.subscribe_with_options(filter, QoS::AtLeastOnce, options, None)
            }
        };
        let answer = timeout(PATIENCE, token)
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
        if self.recording.is_on(message.topic()) {
            if let Some(heard) = paho_options::heard(&self.settings, message) {
                self.recording.hear_now(heard);
            }
            return;
        }
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

    async fn say_goodbye(&self, session: &Session, mut relay: Relay) {
        let offline =
            Message::new_retained(self.server_online.as_str(), "offline", QoS::AtLeastOnce);
        match session.deliver(offline).await {
            // So it has got what was sent before, too.
            Ok(_) => relay.end_in_order(),
            Err(error) => tracing::warn!(%error, "say goodbye to the broker"),
        }
        let options = DisconnectOptionsBuilder::new().timeout(Duration::from_secs(2)).finalize();
        let _ = timeout(PATIENCE, session.client.disconnect(options)).await;
        relay.ended().await;
    }

    /// The session, while it is up.
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        if self.is_up() { self.session.lock().clone() } else { None }
    }
}

#[async_trait]
impl Link for Arc<PahoLink> {
    async fn subscribe(&self, filter: &str) -> anyhow::Result<()> {
        self.filters.lock().insert(filter.to_owned());
        match self.session() {
            Some(session) => self.ask_for(&session, filter, false).await,
            None => Ok(()),
        }
    }

    async fn unsubscribe(&self, filter: &str) -> anyhow::Result<()> {
        self.filters.lock().remove(filter);
        if let Some(session) = self.session() {
            timeout(PATIENCE, session.client.unsubscribe(filter)).await??;
        }
        Ok(())
    }

    async fn publish(&self, to: &Destination, payload: Bytes, retain: bool) -> anyhow::Result<()> {
        let session = self.session().ok_or_else(|| anyhow!("the broker cannot be reached"))?;
        let message = MessageBuilder::new()
            .topic(to.as_str())
            .payload(payload)
            .qos(QoS::AtLeastOnce)
            .retained(retain)
            .finalize();
        let code = session.deliver(message).await?;
        if code as i32 >= 0x80 { Err(anyhow!("the broker refuses it: {code}")) } else { Ok(()) }
    }

    async fn deliver(&self, to: &Destination, message: Outgoing) -> Result<(), NotTaken> {
        let away = || NotTaken::Away("the broker cannot be reached".to_owned());
        let session = self.session().ok_or_else(away)?;
        let message = paho_options::message(&self.settings, to.as_str(), message)
            .map_err(|error| NotTaken::Refused(error.to_string()))?;
        let code = session.deliver(message).await.map_err(|error| match error {
            paho_mqtt::Error::Timeout => {
                NotTaken::Away("the broker did not take it in time".to_owned())
            }
            // Said before anything is sent.
            paho_mqtt::Error::Disconnected => away(),
            error => NotTaken::Lost(format!("the broker did not take it: {error}")),
        })?;
        match code {
            ReasonCode::ServerBusy | ReasonCode::QuotaExceeded => {
                Err(NotTaken::Away(format!("the broker does not take it now: {code}")))
            }
            code if code as i32 >= 0x80 => {
                Err(NotTaken::Refused(format!("the broker refuses it: {code}")))
            }
            _ => Ok(()),
        }
    }

    fn has_properties(&self) -> bool {
        self.settings.protocol == MqttProtocol::V5
    }

    async fn until_up(&self) {
        // The sender is this link's own.
        let _ = self.up.subscribe().wait_for(|up| *up).await;
    }

    async fn launch(&self, _: &Device, message: CommandMessage, dispatch: Dispatch) -> Flight {
        if let Some(end) = self.unfit(&dispatch) {
            return Flight::ended(end);
        }
        let (sender, mut events) = mpsc::unbounded_channel();
        tokio::spawn(self.clone().fly(message, dispatch, sender));
        let events = stream::poll_fn(move |context| events.poll_recv(context)).boxed();
        Flight { events, receipt: Box::new(NoReceipt) }
    }

    fn adopted(&self, _: &DeviceId, _: &Adopted) {}

    fn presence(&self, _: &DeviceId) -> Option<bool> {
        if self.is_up() { None } else { Some(false) }
    }

    fn is_up(&self) -> bool {
        PahoLink::is_up(self)
    }

    async fn close(&self) {
        let was_up = self.is_up();
        self.stop.cancel();
        let running = self.running.lock().take();
        if was_up && let Some(running) = running {
            let _ = running.await;
        }
    }
}

impl PahoLink {
    pub(super) fn is_up(&self) -> bool {
        *self.up.borrow()
    }
}

/// Up to a quarter more, so that many servers do not come back all at once.
fn with_jitter(pause: Duration) -> Duration {
    let part = u32::try_from(Timestamp::now().subsec_nanosecond()).unwrap_or(0) % 256;
    pause + pause * part / 1024
}
