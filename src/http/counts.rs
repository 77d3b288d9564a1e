//! The requests that were answered and the connections that they come by,
//! counted for Prometheus.

use std::time::Duration;

use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// From what is in memory to who waits for a device as long as may be, in
/// seconds.
const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

type Durations = Family<Asked, Histogram, fn() -> Histogram>;

/// The pattern of a resource's path, which each resource has with it.
#[derive(Clone, Copy)]
pub(super) struct Pattern(pub(super) &'static str);

/// The requests that were answered since the start; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    requests: Family<Answered, Counter>,
    durations: Durations,
    connections: Family<[(&'static str, &'static str); 1], Gauge>,
    not_let_in: Family<[(&'static str, &'static str); 1], Counter>,
}

/// A connection, counted as long as it is held.
pub(super) struct Open(Gauge);

/// By what a connection comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry {
    Http,
    Https,
    /// The server's own socket.
    Console,
}

/// Why a connection was closed before anything was read of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum NotLetIn {
    /// They come too fast.
    Rate,
    /// There are too many TLS handshakes.
    Handshakes,
    /// Its own handshake failed, or took too long.
    Tls,
}

/// None of these is a client's own word, so that there are few of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: &'static str,
    status: u16,
}

/// The same for how long it took: an end in error is no route of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    route: &'static str,
}

impl Default for Counts {
    /// What has few kinds begins at 0, so that the first is seen as a change.
    fn default() -> Self {
        let counts = Self {
            requests: Family::default(),
            durations: Durations::new_with_constructor(|| Histogram::new(BOUNDS)),
            connections: Family::default(),
            not_let_in: Family::default(),
        };
        for entry in [Entry::Http, Entry::Https, Entry::Console] {
            drop(counts.connections.get_or_create(&entry.labels()));
        }
        for why in [NotLetIn::Rate, NotLetIn::Handshakes, NotLetIn::Tls] {
            drop(counts.not_let_in.get_or_create(&why.labels()));
        }
        counts
    }
}

impl Counts {
    /// A request was answered, so long after it had come; the body may still be
    /// on its way.
    pub(super) fn answered<B>(&self, response: &ServiceResponse<B>, took: Duration) {
        let request = response.request();
        // What no resource was asked for: a path that is none, or a request that
        // was refused before.
        let route = request.app_data::<Pattern>().map_or("none", |pattern| pattern.0);
        let status = response.status().as_u16();
        let method = method(request.method());
        self.requests.get_or_create(&Answered { method, route, status }).inc();
        self.durations.get_or_create(&Asked { method, route }).observe(took.as_secs_f64());
    }

    /// A connection is there.
    pub(super) fn open(&self, entry: Entry) -> Open {
        let connections = self.connections.get_or_create(&entry.labels()).clone();
        connections.inc();
        Open(connections)
    }

    pub(super) fn not_let_in(&self, why: NotLetIn) {
        self.not_let_in.get_or_create(&why.labels()).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Requests that were answered, by the route's path and the status";
        registry.register("http_requests", help, self.requests.clone());
        let help = "From a request's head to its answer's head, by the route's path";
        let durations = self.durations.clone();
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, durations);
        let help = "Connections that are open, by where they came in";
        registry.register("http_connections", help, self.connections.clone());
        let help = "Connections that were closed before anything was read of them, by why";
        registry.register("http_connections_refused", help, self.not_let_in.clone());
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Entry {
    fn labels(self) -> [(&'static str, &'static str); 1] {
        let entry = match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Console => "console",
        };
        [("entry", entry)]
    }
}

impl NotLetIn {
    fn labels(self) -> [(&'static str, &'static str); 1] {
        let reason = match self {
            Self::Rate => "rate",
            Self::Handshakes => "handshakes",
            Self::Tls => "tls",
        };
        [("reason", reason)]
    }
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
