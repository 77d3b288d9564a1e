//! The forms that `/oauth` takes.

use actix_web::web::Payload;
use actix_web::{HttpMessage as _, HttpRequest};
use serde::de::DeserializeOwned;

use super::error::OauthError;
use crate::config::HttpSettings;
use crate::http::body;

/// Reads a form; each field may stand there once, and what is not known is
/// nobody's business (RFC 6749, 3.2).
pub(super) async fn read<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
    settings: &HttpSettings,
) -> Result<T, OauthError> {
    // What stands in a URL stands in logs.
    if !request.query_string().is_empty() {
        return Err(OauthError::request("this route takes no query, but a form as its body"));
    }
    if request.content_type() != "application/x-www-form-urlencoded" {
        let wanted = "Content-Type must be application/x-www-form-urlencoded";
        return Err(OauthError::request(wanted));
    }
    let body = body::read_small(request, payload, settings).await?;
    let body = std::str::from_utf8(&body).map_err(|_| OauthError::request("it is no form"))?;
    // What the parser says could have a secret in it.
    serde_urlencoded::from_str(body).map_err(|_| {
        OauthError::request("the form lacks `grant_type` or `token`, or has a field twice")
    })
}
