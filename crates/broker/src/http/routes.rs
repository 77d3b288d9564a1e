//! Every path on one page.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};

use super::stats::Stats;
use crate::broker::Core;
use crate::{Metrics, host};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// What requests are answered from.
pub(super) struct Asked {
    pub(super) core: Arc<Core>,
    metrics: Metrics,
    hosts: Vec<String>,
}

impl Asked {
    pub(super) fn new(core: Arc<Core>, hosts: Vec<String>) -> Self {
        Self { metrics: Metrics::new(core.clone()), core, hosts }
    }

    fn allows_host(&self, host: &str) -> bool {
        host::is_own(host)
            || self.hosts.iter().any(|name| name == "*" || host::is_called(host, name))
    }
}

/// Answers a request, whose body nobody reads.
pub(super) fn answer<Body>(asked: &Asked, request: &Request<Body>) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(|host| asked.allows_host(host)) {
        return say(StatusCode::MISDIRECTED_REQUEST, TEXT, "not under this name\n");
    }
    let page: fn(&Asked) -> Response<Full<Bytes>> = match request.uri().path() {
        "/stats" => |asked| say(StatusCode::OK, JSON, Stats::of(&asked.core).to_json()),
        "/healthz" => health,
        "/metrics" => |asked| say(StatusCode::OK, Metrics::CONTENT_TYPE, asked.metrics.text()),
        _ => return say(StatusCode::NOT_FOUND, TEXT, "there is /stats, /healthz and /metrics\n"),
    };
    match *request.method() {
        // What answers a HEAD is cut off where it is sent.
        Method::GET | Method::HEAD => page(asked),
        _ => {
            let mut refusal = say(StatusCode::METHOD_NOT_ALLOWED, TEXT, "read only\n");
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            refusal
        }
    }
}

fn health(asked: &Asked) -> Response<Full<Bytes>> {
    match asked.core.is_store_failing() {
        true => say(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the store cannot write\n"),
        false => say(StatusCode::OK, TEXT, "ok\n"),
    }
}

fn say(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
