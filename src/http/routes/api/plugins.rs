//! `GET /api/v1/plugins`: the plugins, and how far each came.

use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::http::query::NoQuery;
use crate::http::{ApiError, Services, etag};

/// A report on each plugin: those that config.json names, in its order, then
/// what else lies in the folder.
pub(in crate::http) async fn list(
    request: HttpRequest,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    etag::json(&request, &json!({ "plugins": services.plugins.reports() }))
}
