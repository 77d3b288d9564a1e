//! The requests that were answered, counted for Prometheus.

use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The pattern of a resource's path, which each resource has with it.
#[derive(Clone, Copy)]
pub(super) struct Pattern(pub(super) &'static str);

/// The requests that were answered since the start; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    requests: Family<Answered, Counter>,
    not_let_in: Family<[(&'static str, &'static str); 1], Counter>,
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

impl Counts {
    pub(super) fn answered<B>(&self, response: &ServiceResponse<B>) {
        let request = response.request();
        // What no resource was asked for: a path that is none, or a request that
        // was refused before.
        let route = request.app_data::<Pattern>().map_or("none", |pattern| pattern.0);
        let status = response.status().as_u16();
        let answered = Answered { method: method(request.method()), route, status };
        self.requests.get_or_create(&answered).inc();
    }

    pub(super) fn not_let_in(&self, why: NotLetIn) {
        self.not_let_in.get_or_create(&why.labels()).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Requests that were answered, by the route's path and the status";
        registry.register("http_requests", help, self.requests.clone());
        for why in [NotLetIn::Rate, NotLetIn::Handshakes, NotLetIn::Tls] {
            drop(self.not_let_in.get_or_create(&why.labels()));
        }
        let help = "Connections that were closed before anything was read of them, by why";
        registry.register("http_connections_refused", help, self.not_let_in.clone());
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
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
