//! The link inside the embedded broker.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use latchlight_broker::ledger::Ledger;
use latchlight_broker::{
    Broker, ClientInfo, InlineClient, InlineFilters, InlinePublish, InlineSubscription,
    LivePublish, LiveReceipt, LiveStatus, Metrics, Options, QoS, ReasonCode, RetainHandling,
    StoredMessage, SubscriptionOptions, TopicFilter, TopicName,
};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::access::LinkAccess;
use super::accounts;
use super::client::Client;
use super::listeners::{MqttAddresses, MqttListeners};
use super::sessions::{Sessions, Watch};
use super::{
    Admission, Admitted, Incoming, Link, LinkEvent, NotAdmitted, NotTaken, Outgoing, Recording,
    store,
};
use crate::commands::{Dispatch, Flight, FlightEnd, FlightEvent, Receipt};
use crate::config::MqttSettings;
use crate::device_interface::topics::{Adopted, CommandMessage, Destination, Topics};
use crate::identity::devices::DeviceCredentials;
use crate::state::{Device, DeviceId};

const SUBSCRIPTION: SubscriptionOptions = SubscriptionOptions {
    qos: QoS::ExactlyOnce,
    no_local: false,
    // Rule 2: what was retained is not acted on, whoever set it.
    retain_as_published: true,
    retain_handling: RetainHandling::DoNotSend,
};

/// What is only recorded slows its publishers down, as what is acted on does.
const RECORDED: SubscriptionOptions = SUBSCRIPTION;

/// How long the store may take for a message of the gateway.
const STORING: Duration = Duration::from_secs(10);

/// How long a device that has joined by a code may take to hear so.
const JOINED: Duration = Duration::from_secs(3);

/// What the embedded broker is made of.
pub struct Embedding {
    /// Where it listens.
    pub listeners: MqttListeners,
    /// Its limits.
    pub options: Options,
    /// What each of its threads calls after many clients have left.
    pub give_back: fn(),
    /// Whom it lets in.
    pub admission: Admission,
    /// What of its messages is recorded.
    pub recording: Recording,
}

/// The link inside the embedded broker, which it carries.
pub struct InlineLink {
    broker: Broker,
    inline: InlineClient,
    credentials: DeviceCredentials,
    ledger: Option<Ledger>,
    filters: InlineFilters,
    listening: JoinHandle<()>,
    recorded: JoinHandle<()>,
    /// Looks at sessions again when somebody may do less.
    reviewing: JoinHandle<()>,
    topics_changed: Arc<Notify>,
    sessions: Arc<Sessions>,
    server_online: Destination,
    addresses: MqttAddresses,
}

impl InlineLink {
    /// Starts the broker, with its store in the data folder, and listens on the
    /// server's topics.
    ///
    /// # Errors
    /// The address or the store cannot be had.
    pub async fn start(
        settings: &MqttSettings,
        data: &Path,
        embedding: Embedding,
        topics: Arc<Topics>,
        events: mpsc::Sender<LinkEvent>,
    ) -> anyhow::Result<Self> {
        let Embedding { listeners, options, give_back, admission, recording } = embedding;
        let (presence, changes) = mpsc::unbounded_channel();
        let sessions = Arc::new(Sessions::new(topics.clone(), presence));
        let mut builder = Broker::builder()
            .options(options)
            .access(LinkAccess::new(topics.clone(), admission.clone()))
            .observer(Watch(sessions.clone()))
            .give_back(give_back);
        let (listeners, addresses) = listeners.into_parts();
        for listener in listeners {
            builder = builder.listener(listener);
        }
        if settings.store {
            let topics = topics.clone();
            let keeps = move |message: &StoredMessage<'_>| store::keeps(&topics, message);
            builder = builder.store(store::open(data)?).keep_stored(keeps);
        }
        let broker = builder.serve().context("start the embedded broker")?;
        let topics_changed = Arc::new(Notify::new());
        let (credentials, ledger) = (admission.credentials.clone(), admission.ledger.clone());
        let reviewing = accounts::keep_current(broker.clone(), admission, topics_changed.clone());
        let reviewing = tokio::spawn(reviewing);
        let inline = broker.inline();
        let filters: Result<Vec<_>, _> = topics
            .filters()
            .into_iter()
            .chain([topics.join_filter()])
            .map(TopicFilter::try_from)
            .collect();
        // One for all: what a camera says of its picture comes after the picture.
        let messages = inline.subscribe_all(filters?, SUBSCRIPTION)?;
        let recorded = inline.subscribe_all(recording.filters().to_vec(), RECORDED)?;
        let link = Self {
            inline,
            broker,
            credentials,
            ledger,
            filters: messages.filters().clone(),
            listening: tokio::spawn(pass_messages_on(messages, events.clone())),
            recorded: tokio::spawn(recording.listen(recorded)),
            reviewing,
            topics_changed,
            sessions,
            server_online: topics.server_online(),
            addresses,
        };
        link.publish(&link.server_online, Bytes::from_static(b"online"), true).await?;
        tokio::spawn(pass_presence_on(changes, events.clone()));
        events.send(LinkEvent::Up).await.context("tell that the link is up")?;
        Ok(link)
    }

    /// Where the embedded broker listens.
    pub fn addresses(&self) -> MqttAddresses {
        self.addresses
    }
}

/// Changes of presence, which the broker's threads must not wait to tell.
async fn pass_presence_on(
    mut changes: mpsc::UnboundedReceiver<DeviceId>,
    events: mpsc::Sender<LinkEvent>,
) {
    let mut batch = Vec::new();
    while changes.recv_many(&mut batch, 1024).await > 0 {
        batch.sort_unstable();
        batch.dedup();
        if events.send(LinkEvent::Presence(std::mem::take(&mut batch))).await.is_err() {
            return;
        }
    }
}

/// Hands messages on; while the device interface is behind, the subscription
/// fills, and the broker slows its publishers down.
async fn pass_messages_on(mut messages: InlineSubscription, events: mpsc::Sender<LinkEvent>) {
    while let Some(message) = messages.next().await {
        let incoming = Incoming {
            topic: (*message.topic).into(),
            payload: message.payload,
            retained: message.retain,
            duplicate: message.dup,
        };
        if events.send(LinkEvent::Message(incoming)).await.is_err() {
            return;
        }
    }
}

#[async_trait]
impl Link for InlineLink {
    async fn subscribe(&self, filter: &str) -> anyhow::Result<()> {
        Ok(self.filters.add(TopicFilter::try_from(filter)?, SUBSCRIPTION)?)
    }

    async fn unsubscribe(&self, filter: &str) -> anyhow::Result<()> {
        self.filters.remove(&TopicFilter::try_from(filter)?);
        // Whoever spoke there listens beside it no more.
        self.topics_changed.notify_one();
        Ok(())
    }

    async fn publish(&self, to: &Destination, payload: Bytes, retain: bool) -> anyhow::Result<()> {
        let mut publish = InlinePublish::new(TopicName::try_from(to.as_str())?, payload);
        publish.retain = retain;
        let reason = self.inline.publish(publish);
        if reason.is_error() { Err(anyhow!("the broker refuses it: {reason}")) } else { Ok(()) }
    }

    async fn publish_once(&self, to: &Destination, payload: Bytes) -> anyhow::Result<()> {
        let mut publish = InlinePublish::new(TopicName::try_from(to.as_str())?, payload);
        // It waits for nobody, and is in no store.
        publish.qos = QoS::AtMostOnce;
        let reason = self.inline.publish(publish);
        if reason.is_error() { Err(anyhow!("the broker refuses it: {reason}")) } else { Ok(()) }
    }

    fn admitted(&self, device: &DeviceId) -> Result<Admitted, NotAdmitted> {
        let kept = self.credentials.get(device.as_str());
        kept.map(|kept| Admitted(Some(kept))).ok_or(NotAdmitted)
    }

    fn why_not_base(&self, base: &str) -> Option<String> {
        let ledger = self.ledger.as_ref()?;
        let is_named = ["up", "down"].iter().any(|leaf| ledger.names(&format!("{base}/{leaf}")));
        is_named.then(|| format!("the base topic `{base}` is one that mqtt.ledger gives to others"))
    }

    async fn deliver(&self, to: &Destination, message: Outgoing) -> Result<(), NotTaken> {
        let refused = |why: String| NotTaken::Refused(format!("the broker refuses it: {why}"));
        let topic = TopicName::try_from(to.as_str()).map_err(|error| refused(error.to_string()))?;
        let Outgoing { payload, qos, retain, expires_in, content_type, properties } = message;
        let mut publish = InlinePublish::new(topic, payload);
        (publish.qos, publish.retain) = (qos, retain);
        let of = publish.properties.make_mut();
        of.message_expiry_interval = expires_in;
        of.content_type = content_type.map(Into::into);
        of.user_properties =
            properties.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        match self.inline.publish(publish) {
            // Its store does not keep up, or too much waits: not for ever.
            reason @ (ReasonCode::QuotaExceeded | ReasonCode::ServerBusy) => {
                return Err(NotTaken::Away(format!("the broker does not take it now: {reason}")));
            }
            reason if reason.is_error() => return Err(refused(reason.to_string())),
            _ => {}
        }
        match tokio::time::timeout(STORING, self.broker.persisted()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotTaken::Away("the broker stops".to_owned())),
            Err(_) => Err(NotTaken::Away("the broker's store does not take it".to_owned())),
        }
    }

    fn joined(&self, device: &DeviceId) {
        let (broker, device) = (self.broker.clone(), device.clone());
        tokio::spawn(async move {
            tokio::time::sleep(JOINED).await;
            let session = broker.session(device.as_str());
            let joining = Client::Joining(device.as_str()).identity();
            if session.is_some_and(|session| session.identity == joining) {
                broker.end_session(device.as_str(), ReasonCode::NotAuthorized).await;
            }
        });
    }

    async fn launch(&self, device: &Device, message: CommandMessage, dispatch: Dispatch) -> Flight {
        let Ok(topic) = TopicName::try_from(message.topic.as_str()) else {
            return Flight::ended(FlightEnd::Refused("the device has no topic".to_owned()));
        };
        let Some(left) = dispatch.left() else {
            return Flight::ended(FlightEnd::NeverLeft("its time was up".to_owned()));
        };
        let live = self.inline.publish_live(InlinePublish::new(topic, message.payload), left);
        let theirs = self.sessions.of(&device.id);
        let receipt = Box::new(LiveReceiptOf(live.receipt()));
        Flight { events: Following::new(live, theirs).events(), receipt }
    }

    fn adopted(&self, device: &DeviceId, topics: &Adopted) {
        // C1: what somebody left where it listens would be taken for a command;
        // and what somebody left where it speaks was not meant for it.
        for topic in [&topics.down, &topics.up] {
            if self.broker.forget_retained(topic) {
                tracing::warn!(%device, topic, "a retained message is purged");
            }
        }
        for client in self.broker.subscribed_to(&topics.down) {
            if Client::of(&client.identity) == Some(Client::Device(device.as_str())) {
                self.sessions.add(device.clone(), &client);
            }
        }
    }

    fn presence(&self, device: &DeviceId) -> Option<bool> {
        Some(self.sessions.is_there(device))
    }

    fn is_up(&self) -> bool {
        true
    }

    fn is_store_failing(&self) -> bool {
        self.broker.is_store_failing()
    }

    fn metrics(&self) -> Option<Metrics> {
        Some(self.broker.metrics())
    }

    async fn close(&self) {
        let offline = Bytes::from_static(b"offline");
        if let Err(error) = self.publish(&self.server_online, offline, true).await {
            tracing::warn!(%error, "say that the server goes");
        }
        self.reviewing.abort();
        self.broker.close().await;
        self.listening.abort();
        self.recorded.abort();
    }
}

struct LiveReceiptOf(LiveReceipt);

impl Receipt for LiveReceiptOf {
    fn confirm(&self) {
        self.0.confirm();
    }
}

/// Tells a command what becomes of it at the device's own sessions; others
/// may watch the topic, and their word does not count.
struct Following {
    live: LivePublish,
    theirs: HashSet<Arc<str>>,
    /// How many of the device's sessions have it, or may get it.
    open: usize,
    /// The end, when all have.
    worst: FlightEnd,
    over: bool,
}

impl Following {
    fn new(live: LivePublish, theirs: HashSet<Arc<str>>) -> Self {
        let is_theirs = |client: &&Arc<ClientInfo>| theirs.contains(&client.client_id);
        let open = live.receivers().iter().filter(is_theirs).count();
        let why = if open == 0 { "the device does not listen" } else { "the device took no more" };
        Self { live, theirs, open, worst: FlightEnd::Away(why.to_owned()), over: false }
    }

    /// Without a task in between: that it is sent is known before the device
    /// can say anything to it.
    fn events(self) -> BoxStream<'static, FlightEvent> {
        let next = async |mut this: Self| this.next().await.map(|event| (event, this));
        stream::unfold(self, next).boxed()
    }

    async fn next(&mut self) -> Option<FlightEvent> {
        while self.open > 0 {
            let event = self.live.next().await?;
            if !self.theirs.contains(&event.client.client_id) {
                continue;
            }
            match event.what {
                LiveStatus::Sent => return Some(FlightEvent::Sent),
                LiveStatus::Delivered => return Some(FlightEvent::Delivered),
                LiveStatus::Expired => {
                    let why = "the device took no more in time";
                    self.worst = FlightEnd::NeverLeft(why.to_owned());
                }
                LiveStatus::NotSent => {}
                LiveStatus::Lost => {
                    let why = "the connection of the device is gone";
                    self.worst = FlightEnd::Lost(why.to_owned());
                }
            }
            self.open -= 1;
        }
        let first = !std::mem::replace(&mut self.over, true);
        first.then(|| FlightEvent::Ended(self.worst.clone()))
    }
}
