//! `/docs`: the API's document as a page to read and to try out (Swagger UI),
//! which is part of the program and needs nothing from elsewhere.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use utoipa_swagger_ui::Config;

use crate::http::{ApiError, etag};

/// As for every page, and the pictures that Swagger UI's style has in it.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'",
);

/// The page.
pub(in crate::http) async fn index(request: HttpRequest) -> HttpResponse {
    let page = include_str!("../../../static/docs.html");
    let mut response = etag::answer(&request, "text/html; charset=utf-8", page);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    response
}

/// Has Swagger UI show the document.
pub(in crate::http) async fn start(request: HttpRequest) -> HttpResponse {
    let script = include_str!("../../../static/docs.js");
    etag::answer(&request, "text/javascript; charset=utf-8", script)
}

/// Swagger UI.
pub(in crate::http) async fn script(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    vendored(&request, "swagger-ui-bundle.js", "text/javascript; charset=utf-8")
}

/// How it looks.
pub(in crate::http) async fn style(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    vendored(&request, "swagger-ui.css", "text/css; charset=utf-8")
}

/// One of Swagger UI's own files, which are in the program as gzip; there is
/// no browser that does not take it.
fn vendored(request: &HttpRequest, name: &str, media_type: &str) -> Result<HttpResponse, ApiError> {
    let missing = || ApiError::Internal(anyhow::anyhow!("Swagger UI has no {name}"));
    let file = utoipa_swagger_ui::serve(name, Arc::new(Config::default())).ok().flatten();
    let bytes = match file.ok_or_else(missing)?.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    let mut response = etag::answer(request, media_type, bytes);
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(response)
}
