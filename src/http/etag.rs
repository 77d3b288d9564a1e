//! Answers that a client which polls gets anew only where they differ.

use std::hash::{DefaultHasher, Hasher as _};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::ApiError;

/// JSON, or 304 where the client has the same already.
pub(super) fn json(
    request: &HttpRequest,
    value: &impl Serialize,
) -> Result<HttpResponse, ApiError> {
    let body = serde_json::to_vec(value).map_err(|error| ApiError::Internal(error.into()))?;
    Ok(answer(request, "application/json", body))
}

/// Bytes of a type, or 304 where the client has the same already.
pub(super) fn answer(
    request: &HttpRequest,
    media_type: &str,
    body: impl Into<bytes::Bytes>,
) -> HttpResponse {
    let body = body.into();
    let tag = tag(&body);
    if is_known(request, &tag) {
        return not_modified(&tag);
    }
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, media_type))
        .insert_header((header::ETAG, tag))
        // May be kept, and is asked for anew each time.
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .body(body)
}

/// Says that nothing changed.
pub(super) fn not_modified(tag: &str) -> HttpResponse {
    HttpResponse::NotModified()
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .finish()
}

/// Whether the client has what this tag stands for.
pub(super) fn is_known(request: &HttpRequest, tag: &str) -> bool {
    let mut known = request.headers().get_all(header::IF_NONE_MATCH);
    known.any(|tags| {
        let tags = tags.to_str().unwrap_or_default();
        tags.split(',').map(str::trim).any(|known| {
            known == "*" || known.trim_start_matches("W/") == tag.trim_start_matches("W/")
        })
    })
}

fn tag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    format!("\"{:016x}-{:x}\"", hasher.finish(), body.len())
}
