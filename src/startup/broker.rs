//! Where devices and the server meet: the embedded broker, or an outside one.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use latchlight_broker::ledger::Ledger;
use latchlight_broker::{Options, WebSocket};
use tokio::sync::mpsc;

use super::entrances::Entrances;
use super::ground::Ground;
use super::known::Known;
use crate::config::{MqttSettings, Settings};
use crate::device_interface::link::{
    Embedding, Heard, InlineLink, Link, LinkEvent, MqttAddresses, MqttListeners, PahoLink,
    Recording,
};
use crate::device_interface::topics::Topics;
use crate::http::Origins;
use crate::open_files::OpenFiles;
use crate::state::State;

/// How many events of the link may wait for the device interface. A full
/// queue slows the embedded broker's publishers down.
const EVENTS: usize = 16 * 1024;

/// The topics, the link over which they are spoken on, and what is heard.
pub(super) struct Meeting {
    pub(super) topics: Arc<Topics>,
    pub(super) link: Arc<dyn Link>,
    pub(super) mqtt: MqttAddresses,
    pub(super) incoming: mpsc::Receiver<LinkEvent>,
    pub(super) recording: Recording,
    pub(super) heard: mpsc::Receiver<Heard>,
}

impl Meeting {
    /// Reaches the broker; `give_back` is called by each thread of the
    /// embedded one when many clients have left.
    pub(super) async fn open(
        settings: &Settings,
        ground: &Ground,
        known: &Known,
        entrances: &Entrances,
        give_back: fn(),
    ) -> anyhow::Result<Self> {
        let topics = Arc::new(Topics::new(settings));
        adopt_base_topics(&ground.state, &topics);
        let (events, incoming) = mpsc::channel(EVENTS);
        let (recording, heard) = Recording::new(&settings.messages);
        let (link, mqtt) = if settings.mqtt.is_embedded() {
            let pages = pages(&Origins::of(&settings.http, &entrances.http));
            let certificates = entrances.certificates.as_ref();
            let listeners = MqttListeners::bind(&settings.mqtt, certificates, &pages)?;
            let options = options(settings, ground.files);
            let admission = known.admission(ground, settings)?;
            let recording = recording.clone();
            let embedding = Embedding { listeners, options, give_back, admission, recording };
            inline_link(settings, &ground.data, embedding, &topics, events).await?
        } else {
            let link = outside_link(settings, &topics, events, recording.clone())?;
            (link, MqttAddresses::default())
        };
        Ok(Self { topics, link, mqtt, incoming, recording, heard })
    }
}

/// Restored devices have their base topics back before anybody can connect.
fn adopt_base_topics(state: &State, topics: &Topics) {
    for device in state.devices() {
        let Some(base) = &device.base_topic else { continue };
        if let Err(error) = topics.adopt_base(&device.id, base) {
            tracing::error!(device = %device.id, %error, "its base topic is not listened on");
        }
    }
}

/// The link inside the embedded broker, and where that listens.
async fn inline_link(
    settings: &Settings,
    data: &Path,
    embedding: Embedding,
    topics: &Arc<Topics>,
    events: mpsc::Sender<LinkEvent>,
) -> anyhow::Result<(Arc<dyn Link>, MqttAddresses)> {
    let (mqtt, topics) = (&settings.mqtt, topics.clone());
    let link = InlineLink::start(mqtt, data, embedding, topics, events).await?;
    let addresses = link.addresses();
    Ok((Arc::new(link), addresses))
}

/// The link to an outside broker.
fn outside_link(
    settings: &Settings,
    topics: &Arc<Topics>,
    events: mpsc::Sender<LinkEvent>,
    recording: Recording,
) -> anyhow::Result<Arc<dyn Link>> {
    let broker = settings.mqtt.broker_without_credentials();
    tracing::warn!(
        %broker,
        "an outside broker is used: who may say and hear what, sessions and limits are its \
         operator's, see docs/outside-brokers.md"
    );
    let (filters, online) = (topics.filters(), topics.server_online());
    let link = PahoLink::start(&settings.mqtt, filters, online, events, recording)?;
    Ok(Arc::new(link))
}

/// The embedded broker's limits.
fn options(settings: &Settings, files: OpenFiles) -> Options {
    let default = Options::default();
    // With what stands around its bytes.
    let largest_picture = settings.pictures.max_bytes + 64 * 1024;
    let largest_picture = u32::try_from(largest_picture).unwrap_or(u32::MAX);
    Options {
        max_connections: default.max_connections.min(files.for_devices()),
        max_packet_size: default.max_packet_size.max(largest_picture),
        // In a group of others, one would take what is meant for another.
        max_shared_subscriptions: 0,
        max_accept_rate_per_address: settings.limits.accept_rate_per_address,
        limit_loopback: settings.limits.loopback,
        measure_latency: settings.mqtt.measure_latency,
        ..default
    }
}

/// The web pages that may speak MQTT over WebSocket: the server's own.
fn pages(origins: &Origins) -> WebSocket {
    let pages = WebSocket::new();
    let pages = origins.hosts().iter().fold(pages, |pages, host| pages.host(host));
    origins.origins().iter().fold(pages, |pages, origin| pages.origin(origin))
}

/// Who may do what outside the prefix, where the settings name a file that
/// says so.
pub(super) fn ledger(settings: &MqttSettings) -> anyhow::Result<Option<Ledger>> {
    let Some(file) = settings.ledger.as_ref().filter(|_| settings.is_embedded()) else {
        return Ok(None);
    };
    let read = Ledger::load(file);
    read.map(Some).with_context(|| format!("read mqtt.ledger {}", file.display()))
}
