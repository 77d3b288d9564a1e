//! Bodies: read within their limits of bytes and time, then parsed.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpMessage as _, HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::ApiError;
use crate::config::HttpSettings;
use crate::named_fields;

/// Reads a body of at most `max` bytes, which must come within `patience`.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: web::Payload,
    max: usize,
    patience: Duration,
) -> Result<Bytes, ApiError> {
    check_length(request, max)?;
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| ApiError::Malformed(error.to_string()))?;
            if body.len() + chunk.len() > max {
                return Err(ApiError::TooLarge(max));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(patience, whole).await.unwrap_or(Err(ApiError::TooSlow))
}

/// Refuses a body that says itself that it is too long, before it is read.
pub(super) fn check_length(request: &HttpRequest, max: usize) -> Result<(), ApiError> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max as u64) {
        return Err(ApiError::TooLarge(max));
    }
    Ok(())
}

/// Reads a small body: anything but a picture.
pub(super) async fn read_small(
    request: &HttpRequest,
    payload: web::Payload,
    settings: &HttpSettings,
) -> Result<Bytes, ApiError> {
    read(request, payload, settings.max_body_bytes, settings.request_timeout()).await
}

/// Reads a JSON body.
pub(super) async fn read_json<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    settings: &HttpSettings,
) -> Result<T, ApiError> {
    expect_json(request)?;
    parse_json(&read_small(request, payload, settings).await?)
}

/// Refuses a body that says itself that it is no JSON.
pub(super) fn expect_json(request: &HttpRequest) -> Result<(), ApiError> {
    let media_type = request.content_type().to_ascii_lowercase();
    if media_type == "application/json" {
        return Ok(());
    }
    Err(ApiError::WrongType(format!(
        "Content-Type must be application/json, and {}",
        there_is(&media_type)
    )))
}

/// What a request says of its body's type.
fn there_is(media_type: &str) -> String {
    match media_type {
        "" => "there is none".to_owned(),
        other => format!("is `{}`", other.escape_default()),
    }
}

/// What was said to an action: words, or a JSON object.
#[derive(Debug)]
pub(super) enum Said {
    Words(Bytes),
    Json(Bytes),
}

/// Reads a body that is JSON, or words as they stand in a message over MQTT.
pub(super) async fn read_said(
    request: &HttpRequest,
    payload: web::Payload,
    settings: &HttpSettings,
) -> Result<Said, ApiError> {
    let media_type = request.content_type().to_ascii_lowercase();
    // curl says that everything is a form, unless it is told otherwise.
    let taken = ["", "application/json", "text/plain", "application/x-www-form-urlencoded"];
    if !taken.contains(&media_type.as_str()) {
        return Err(ApiError::WrongType(format!(
            "Content-Type must be application/json or text/plain, and is `{}`",
            media_type.escape_default()
        )));
    }
    let body = read_small(request, payload, settings).await?;
    let body = body.slice_ref(body.trim_ascii());
    let is_json = media_type == "application/json" || body.starts_with(b"{");
    Ok(if is_json { Said::Json(body) } else { Said::Words(body) })
}

/// For routes that take everything from the query: what somebody puts into
/// the body would else be overlooked, such as which door is meant.
pub(super) async fn expect_none(
    request: &HttpRequest,
    payload: web::Payload,
    settings: &HttpSettings,
) -> Result<(), ApiError> {
    let body = read_small(request, payload, settings).await?;
    match body.trim_ascii() {
        b"" | b"{}" => Ok(()),
        _ => Err(ApiError::Invalid(
            "this route takes no body: say in the query what is meant, such as ?device=front-door"
                .to_owned(),
        )),
    }
}

/// Parses JSON, naming what is wrong by its path.
pub(super) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let parsed = named_fields::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        // Some wrong values are called a wrong syntax by the parser.
        let json = inner.is_data() || serde_json::from_slice::<IgnoredAny>(body).is_ok();
        match (json, path.as_str()) {
            (false, _) => ApiError::Malformed(format!("the body is not JSON: {inner}")),
            (true, ".") => ApiError::Invalid(without_place(&inner)),
            (true, path) => ApiError::Invalid(format!("{path}: {}", without_place(&inner))),
        }
    })?;
    let trailing = |error| ApiError::Malformed(format!("the body is not JSON: {error}"));
    deserializer.end().map_err(trailing)?;
    Ok(parsed)
}

/// What is wrong with a value: its path says where better than line and column
/// of a body that a program wrote.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}
