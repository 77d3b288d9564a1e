//! `/api/v1/users/{name}/pins`: somebody's codes for keypads.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::find;
use crate::http::auth::Caller;
use crate::http::openapi::IfNoneMatch;
use crate::http::pin_view::{self, Made, PinBody, PinList};
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, body, etag};

/// What is kept of somebody's codes.
#[utoipa::path(
    get,
    path = "/api/v1/users/{name}/pins",
    tag = "pins",
    operation_id = "listPinsOf",
    params(("name" = String, Path, description = "The person.", example = "ann"), IfNoneMatch),
    responses(
        (status = 200, description = "All of them.", body = PinList),
    ),
)]
pub(in crate::http) async fn list(
    request: HttpRequest,
    name: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let account = find(&services, &name)?;
    let pins = services.keypads.pins().of(account.id).await?;
    etag::json(&request, &PinList::of(&services, pins))
}

/// Makes somebody one more code, and tells it: this once.
#[utoipa::path(
    post,
    path = "/api/v1/users/{name}/pins",
    tag = "pins",
    operation_id = "addPinOf",
    params(("name" = String, Path, description = "The person.", example = "ann")),
    request_body(content = PinBody),
    responses(
        (status = 201, description = "The code, this once.", body = Made<'_>, headers(("Location" = String, description = "Where it is."))),
        (status = 409, description = "The code is taken, or there are too many."),
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    caller: Caller,
    name: Path<String>,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let body: PinBody = body::read_json(&request, payload, &services.settings).await?;
    let account = find(&services, &name)?;
    pin_view::make(&services, caller, &account, body).await
}
