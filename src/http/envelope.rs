//! What every request passes through, in and out: its id, its span in the
//! log, the check of where it comes from, errors turned into problem details,
//! and the headers that keep browsers in bounds.

use std::time::Instant;

use actix_web::body::{BodyStream, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use bytes::BytesMut;
use tracing::Instrument as _;

use super::connection::Usage;
use super::counts::Counts;
use super::peer::Peer;
use super::request_id::{RequestId, X_REQUEST_ID};
use super::{ApiError, Origins, Services, cors};
use crate::identity::{Principal, Through};

/// The board's own files and this server's pictures, and nothing from
/// elsewhere: no inline script, no frames, no forms.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'",
);

/// For so long a browser comes to this host by TLS only.
const A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Checked when the server is built, and not with each answer.
static SECURITY_HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// The one middleware.
pub(super) async fn envelope(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let usage = request.conn_data::<Usage>();
    let seen = see(&request);
    let is_tls = seen.as_ref().is_ok_and(|peer| peer.is_tls);
    let _answering = usage.map(Usage::begin);
    let id = RequestId::of(request.headers());
    let span = tracing::info_span!(
        "request",
        id = id.as_str(),
        method = %request.method(),
        path = request.path()
    );
    let mut response = answer(request, next, id, seen.err()).instrument(span).await?;
    if is_tls && is_https_only(&response) {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, A_YEAR);
    }
    Ok(response)
}

/// Whether browsers are to come by TLS only, which they are told over TLS.
fn is_https_only(response: &ServiceResponse<BoxBody>) -> bool {
    let services = response.request().app_data::<web::Data<Services>>();
    services.is_some_and(|services| services.settings.is_https_only())
}

async fn answer(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    id: RequestId,
    odd: Option<ApiError>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let checked = match request.app_data::<web::Data<Origins>>() {
        _ if odd.is_some() => odd.map_or(Ok(()), Err),
        // No browser reaches the server's own socket.
        _ if is_console(&request) => Ok(()),
        Some(origins) => origins.check(request.method(), request.uri(), request.headers()),
        None => Err(ApiError::Internal(anyhow::anyhow!("no origins are configured"))),
    };
    let response = match checked {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(error) => {
            tracing::warn!(why = %error, "request refused");
            request.error_response(error)
        }
    };
    let mut response = in_turn(end_line(explain(response, &id)));
    if let Some(counts) = response.request().app_data::<web::Data<Counts>>() {
        counts.answered(&response, began.elapsed());
    }
    finish(response.headers_mut(), &id);
    tracing::debug!(
        status = response.status().as_u16(),
        took_us = began.elapsed().as_micros() as u64,
        "request answered"
    );
    Ok(response)
}

fn see(request: &ServiceRequest) -> Result<Peer, ApiError> {
    let services = request.app_data::<web::Data<Services>>();
    let services = services
        .ok_or_else(|| ApiError::Internal(anyhow::anyhow!("no services are configured")))?;
    Peer::see(request, &services.settings.trusted_proxies)
}

fn is_console(request: &ServiceRequest) -> bool {
    let known = request.conn_data::<Principal>();
    known.is_some_and(|principal| principal.through == Through::Console)
}

/// Turns an error into the problem that the client reads.
fn explain(response: ServiceResponse<BoxBody>, id: &RequestId) -> ServiceResponse<BoxBody> {
    let Some(error) = response.response().error() else { return response };
    let instance = response.request().path();
    let problem = match error.as_error::<ApiError>() {
        Some(error) => error.response_to(instance, id.as_str()),
        None => ApiError::of_framework(error).response_to(instance, id.as_str()),
    };
    let mut problem = problem;
    cors::keep(response.headers(), problem.headers_mut());
    response.into_response(problem)
}

/// Ends JSON with a newline, for who reads it in a terminal.
fn end_line(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let media_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let json = media_type.is_some_and(|media_type| {
        [&b"application/json"[..], b"application/problem+json"].contains(&media_type)
    });
    if !json {
        return response;
    }
    response.map_body(|_, body| match body.try_into_bytes() {
        Ok(bytes) if bytes.ends_with(b"\n") => BoxBody::new(bytes),
        Ok(bytes) => {
            let mut bytes = BytesMut::from(bytes);
            bytes.extend_from_slice(b"\n");
            BoxBody::new(bytes)
        }
        Err(body) => body,
    })
}

/// Gives an answer that has no body an empty stream for one. Otherwise actix
/// puts it to what waits to be sent, however much that is, and goes on reading:
/// a client that asks on and on and takes no answer would fill the memory.
fn in_turn(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    if !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return response;
    }
    // No byte of the stream is sent, so nothing needs to say where it ends.
    response.response_mut().head_mut().no_chunking(true);
    let nothing = futures_util::stream::empty::<Result<bytes::Bytes, Error>>();
    response.map_body(|_, _| BodyStream::new(nothing).boxed())
}

fn finish(headers: &mut HeaderMap, id: &RequestId) {
    for (name, value) in &SECURITY_HEADERS {
        // What is no page of ours allows less.
        if !headers.contains_key(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    // What is not said to be cacheable shows a door as it was.
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(X_REQUEST_ID, id.to_header());
}
