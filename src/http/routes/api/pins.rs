//! `/api/v1/pins`: everybody's codes for keypads, and `/api/v1/pins/{id}`.

use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::events::Kind;
use crate::http::auth::Caller;
use crate::http::pin_view::{self, PinList, PinView, missing};
use crate::http::query::NoQuery;
use crate::http::{ApiError, Services, body, etag};
use crate::identity::pins::Pin;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    disabled: bool,
}

/// What is kept of them, in the order in which they were made.
pub(in crate::http) async fn list(
    request: HttpRequest,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let pins = services.keypads.pins().all().await?;
    etag::json(&request, &PinList::of(&services, pins))
}

/// What is kept of one.
pub(in crate::http) async fn get(
    request: HttpRequest,
    id: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let pin = find(&services, &id).await?;
    etag::json(&request, &PinView::of(&services, pin))
}

/// Has one be good for nothing for a while, and again.
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

/// Removes one: it is good for nothing from then on.
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
