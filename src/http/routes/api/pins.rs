//! `/api/v1/pins`: everybody's codes for keypads, and `/api/v1/pins/{id}`.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::events::Kind;
use crate::http::auth::Caller;
use crate::http::openapi::IfNoneMatch;
use crate::http::pin_view::{self, PinList, PinView, missing};
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, body, etag};
use crate::identity::pins::{Pin, PinId};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PinChange)]
struct Change {
    /// Good for nothing, for now.
    #[schema(example = true)]
    disabled: bool,
}

/// What is kept of everybody's codes, in the order in which they were made.
#[utoipa::path(
    get,
    path = "/api/v1/pins",
    tag = "pins",
    operation_id = "listPins",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "All of them.", body = PinList),
    ),
)]
pub(in crate::http) async fn list(
    request: HttpRequest,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let pins = services.keypads.pins().all().await?;
    etag::json(&request, &PinList::of(&services, pins))
}

/// What is kept of one code.
#[utoipa::path(
    get,
    path = "/api/v1/pins/{id}",
    tag = "pins",
    operation_id = "getPin",
    params(("id" = PinId, Path, description = "The code's id, which is not the code."), IfNoneMatch),
    responses(
        (status = 200, description = "What is kept of it.", body = PinView),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    id: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let pin = find(&services, &id).await?;
    etag::json(&request, &PinView::of(&services, pin))
}

/// Has a code be good for nothing for a while, and good again.
#[utoipa::path(
    patch,
    path = "/api/v1/pins/{id}",
    tag = "pins",
    operation_id = "changePin",
    params(("id" = PinId, Path, description = "The code's id, which is not the code.")),
    request_body(content = Change),
    responses(
        (status = 200, description = "As it is now.", body = PinView),
    ),
)]
pub(in crate::http) async fn patch(
    request: HttpRequest,
    caller: Caller,
    id: Path<String>,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Change { disabled } = body::read_json(&request, payload, &services.settings).await?;
    let pin = find(&services, &id).await?;
    let work = {
        let (services, pin) = (services.clone(), pin.clone());
        async move {
            if !services.keypads.pins().disable(pin.id, disabled).await? {
                return Err(missing());
            }
            let action = if disabled { "disable_pin" } else { "enable_pin" };
            let detail = format!("the code {} ({})", pin.name, pin.id);
            caller.record(&services, Kind::Credential, action, &detail).await
        }
    };
    services.to_the_end(work).await?;
    Ok(HttpResponse::Ok().json(PinView::of(&services, Pin { disabled, ..pin })))
}

/// Removes a code: it is good for nothing from then on.
#[utoipa::path(
    delete,
    path = "/api/v1/pins/{id}",
    tag = "pins",
    operation_id = "removePin",
    params(("id" = PinId, Path, description = "The code's id, which is not the code.")),
    responses(
        (status = 204, description = "It is good for nothing."),
    ),
)]
pub(in crate::http) async fn delete(
    caller: Caller,
    id: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let pin = find(&services, &id).await?;
    pin_view::remove(&services, caller, pin).await
}

async fn find(services: &Services, id: &str) -> Result<Pin, ApiError> {
    let id = id.parse().map_err(|_| missing())?;
    services.keypads.pins().get(id).await?.ok_or_else(missing)
}
