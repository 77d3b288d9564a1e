//! Where devices and the server meet: the embedded broker, or an outside one.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use latchlight_broker::ledger::Ledger;
use latchlight_broker::{Options, WebSocket};
use tokio::sync::mpsc;

use crate::config::{MqttSettings, Settings};
use crate::device_interface::link::{
    Embedding, InlineLink, Link, LinkEvent, MqttAddresses, PahoLink,
};
use crate::device_interface::topics::Topics;
use crate::http::Origins;
use crate::open_files::OpenFiles;

/// The link inside the embedded broker, and where that listens.
pub(super) async fn inline_link(
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
pub(super) fn outside_link(
    settings: &Settings,
    topics: &Arc<Topics>,
    events: mpsc::Sender<LinkEvent>,
) -> anyhow::Result<Arc<dyn Link>> {
    let broker = settings.mqtt.broker_without_credentials();
    tracing::warn!(
        %broker,
        "an outside broker is used: who may say and hear what, sessions and limits are its \
         operator's, see docs/outside-brokers.md"
    );
    let link = PahoLink::start(&settings.mqtt, topics.filters(), topics.server_online(), events)?;
    Ok(Arc::new(link))
}

/// The embedded broker's limits.
pub(super) fn options(settings: &Settings, files: OpenFiles) -> Options {
    let default = Options::default();
    Options {
        max_connections: default.max_connections.min(files.for_devices()),
        // In a group of others, one would take what is meant for another.
        max_shared_subscriptions: 0,
        max_accept_rate_per_address: settings.limits.accept_rate_per_address,
        limit_loopback: settings.limits.loopback,
        measure_latency: settings.mqtt.measure_latency,
        ..default
    }
}

/// The web pages that may speak MQTT over WebSocket: the server's own.
pub(super) fn pages(origins: &Origins) -> WebSocket {
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
