//! `GET /api/v1/broker`: where devices and the server meet.

use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};

use crate::http::query::NoQuery;
use crate::http::{ApiError, Services, etag};

/// The broker's URL, whether it is the server's own, and the prefix.
pub(in crate::http) async fn get(
    request: HttpRequest,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    etag::json(&request, services.broker.as_ref())
}
