//! `GET /metrics`: what the server and its embedded broker count, for
//! Prometheus.

use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, Data};
use jiff::Timestamp;
use latchlight_broker::{Metrics, prometheus_text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::database::Database;
use crate::http::counts::Counts;
use crate::http::streams::Streams;
use crate::http::{ApiError, Services};
use crate::process;
use crate::state::{DeviceKind, State};
use crate::tls::Status;

/// What the names of the server's own metrics begin with.
const PREFIX: &str = "latchlight";

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Within so many seconds a device was heard last: the word, and the number.
const HEARD: [(&str, i64); 4] = [("1m", 60), ("10m", 600), ("1h", 3600), ("1d", 86_400)];

/// What the server and its embedded broker count, for Prometheus.
///
/// Without what a broker counts where that is an outside one.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "server",
    operation_id = "getMetrics",
    responses(
        (status = 200, description = "Prometheus' text format.", body = String, content_type = "text/plain", example = "latchlight_link_up 1"),
    ),
)]
pub(in crate::http) async fn get(
    services: Data<Services>,
    counts: Data<Counts>,
    streams: Data<Streams>,
) -> Result<HttpResponse, ApiError> {
    let database = ping(&services.database).await;
    // Every device and session is looked at; no other request is to wait for that.
    let text =
        web::block(move || prometheus_text(&registry(&services, &counts, &streams, database)))
            .await;
    let text = text.map_err(|error| ApiError::Internal(error.into()))?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, Metrics::CONTENT_TYPE)).body(text))
}

/// How long the database took to answer; nothing where it did not.
async fn ping(database: &Database) -> Option<Duration> {
    let began = Instant::now();
    let answered = tokio::time::timeout(PATIENCE, database.ping()).await;
    matches!(answered, Ok(Ok(()))).then(|| began.elapsed())
}

fn registry(
    services: &Services,
    counts: &Counts,
    streams: &Streams,
    database: Option<Duration>,
) -> Registry {
    let mut registry = Registry::default();
    if let Some(metrics) = services.handle.metrics() {
        registry.register_collector(Box::new(metrics));
    }
    process::register(&mut registry, services.started);
    let own = registry.sub_registry_with_prefix(PREFIX);
    let build = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
    own.register("build_info", "Which server this is: always 1", build);
    let link_up = ConstGauge::new(i64::from(services.handle.link_up()));
    own.register("link_up", "Whether the broker can be reached", link_up);
    own.register("devices", "Devices that have joined, by kind", devices(&services.state));
    let help = "Devices that were heard within that time, by kind";
    own.register("devices_heard", help, heard(&services.state));
    let help = "Whether the database answers";
    own.register("database_up", help, ConstGauge::new(i64::from(database.is_some())));
    if let Some(took) = database {
        let help = "How long the database took to answer just now, in seconds";
        own.register("database_ping_seconds", help, ConstGauge::new(took.as_secs_f64()));
    }
    services.database.register_counts(own);
    let failed = ConstCounter::new(services.state.failed_writes());
    own.register("state_write_errors", "Writes of config.json that failed", failed);
    if let Some(certificates) = &services.certificates {
        register_certificate(own, &certificates.status());
    }
    services.handle.register_counts(own);
    services.commands.register_counts(own);
    services.events.register_counts(own);
    services.plugins.register_counts(own);
    services.pictures.register_counts(own);
    services.sign_in.register_counts(own);
    services.messages.register_counts(own);
    counts.register(own);
    streams.register(own);
    registry
}

fn register_certificate(registry: &mut Registry, status: &Status) {
    let expiry = ConstGauge::new(status.expiry_timestamp());
    let help = "When the certificate of HTTP and MQTT expires, in seconds since 1970";
    registry.register("tls_certificate_expiry_timestamp_seconds", help, expiry);
    let refused = ConstGauge::new(i64::from(status.refused.is_some()));
    let help = "Whether the certificate's files are others now, and cannot be used";
    registry.register("tls_certificate_refused", help, refused);
}

/// How many of each kind are there, and are not.
fn devices(state: &State) -> Family<[(&'static str, &'static str); 2], Gauge> {
    let devices = Family::<_, Gauge>::default();
    let labels = |kind: DeviceKind, online: bool| {
        [("kind", kind.as_str()), ("availability", if online { "online" } else { "offline" })]
    };
    for kind in DeviceKind::ALL {
        for online in [true, false] {
            drop(devices.get_or_create(&labels(kind, online)));
        }
    }
    for device in state.devices() {
        devices.get_or_create(&labels(device.kind, device.online)).inc();
    }
    devices
}

/// How many of each kind were heard lately.
fn heard(state: &State) -> Family<[(&'static str, &'static str); 2], Gauge> {
    let heard = Family::<_, Gauge>::default();
    let labels = |kind: DeviceKind, within| [("kind", kind.as_str()), ("within", within)];
    for kind in DeviceKind::ALL {
        for (within, _) in HEARD {
            drop(heard.get_or_create(&labels(kind, within)));
        }
    }
    let now = Timestamp::now().as_second();
    for device in state.devices() {
        let Some(last) = device.last_heard else { continue };
        for (within, _) in HEARD.iter().filter(|(_, most)| now - last.as_second() <= *most) {
            heard.get_or_create(&labels(device.kind, within)).inc();
        }
    }
    heard
}
