//! `GET /api/v1/broker`: where devices and the server meet.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::openapi::IfNoneMatch;
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, BrokerAddress, Services, etag};

/// Where devices and the server meet.
#[utoipa::path(
    get,
    path = "/api/v1/broker",
    tag = "joining",
    operation_id = "getBroker",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "The broker.", body = BrokerAddress),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    etag::json(&request, services.broker.as_ref())
}
