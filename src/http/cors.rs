//! Pages of other origins that the settings let in: what a browser has to be
//! told before it shows them an answer. Whoever is not listed is told nothing,
//! and refused by `origin.rs` where they would change something.

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName};

use super::request_id::X_REQUEST_ID;
use crate::config::HttpSettings;

/// For so many seconds a browser need not ask again.
const REMEMBERED: usize = 600;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// For the listed origins. No cookie goes with what they send: apps show their
/// tokens.
pub(super) fn cors(settings: &HttpSettings) -> Cors {
    let cors = Cors::default()
        .allowed_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allowed_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            IDEMPOTENCY_KEY,
            LAST_EVENT_ID,
            X_REQUEST_ID,
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            X_REQUEST_ID,
        ])
        .max_age(REMEMBERED);
    let listed = settings.cors_origins.iter();
    listed.fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// What of an answer's headers is for the browser alone, and stays when its
/// body becomes another.
pub(super) fn keep(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        if *name == header::VARY || name.as_str().starts_with("access-control-") {
            to.append(name.clone(), value.clone());
        }
    }
}
