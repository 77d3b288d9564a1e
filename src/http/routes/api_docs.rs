//! `GET /api-docs/openapi.json`: the API as a document.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use crate::config::HttpSettings;
use crate::http::etag;
use crate::http::openapi::{self, IfNoneMatch};
use crate::http::query::{NoQuery, Query};

/// The document, written once at the start.
pub(in crate::http) struct Document(Bytes);

impl Document {
    pub(in crate::http) fn of(settings: &HttpSettings) -> Self {
        let document = openapi::document(settings);
        Self(format!("{document:#}").into())
    }
}

/// This document.
#[utoipa::path(
    get,
    path = "/api-docs/openapi.json",
    tag = "server",
    operation_id = "getDocument",
    params(IfNoneMatch),
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, example = json!({"openapi": "3.1.0"}))),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    _: Query<NoQuery>,
    document: Data<Document>,
) -> HttpResponse {
    etag::answer(&request, "application/json", document.0.clone())
}
