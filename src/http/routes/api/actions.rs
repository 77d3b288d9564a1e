//! `GET /api/v1/actions`: what a message's first word can be.

use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::http::query::NoQuery;
use crate::http::{ApiError, Services, etag};

/// All actions, built in and from plugins, by name.
pub(in crate::http) async fn list(
    request: HttpRequest,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    etag::json(&request, &json!({ "actions": services.registry.list() }))
}
