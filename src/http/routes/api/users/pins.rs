//! `/api/v1/users/{name}/pins`: somebody's codes for keypads.

use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};

use super::find;
use crate::http::auth::Caller;
use crate::http::pin_view::{self, PinBody, PinList};
use crate::http::query::NoQuery;
use crate::http::{ApiError, Services, body, etag};

/// What is kept of them.
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

/// Makes one more, and tells it: this once.
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
