//! `/api/v1/devices/{id}/credentials`: what a device shows to be let in.

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::parse;
use crate::device_interface::DeviceTopicNames;
use crate::events::{Event, Kind};
use crate::http::auth::Caller;
use crate::http::query::NoQuery;
use crate::http::{ApiError, Services, body, etag};
use crate::identity::devices::IssuedCredentials;
use crate::state::{DeviceId, DeviceKind};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    /// The device then has to say in its hand shake that it is one.
    kind: Option<DeviceKind>,
    /// Whether its commands are signed; else that stays as it is.
    signed: Option<bool>,
}

/// All that goes into the device. The password and the key are told here and
/// nowhere else.
#[derive(Serialize)]
struct Issued<'a> {
    device: &'a DeviceId,
    kind: Option<DeviceKind>,
    username: &'a DeviceId,
    password: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_key: Option<String>,
    client_id: &'a DeviceId,
    topics: DeviceTopicNames,
}

/// What is kept of them.
pub(in crate::http) async fn get(
    request: HttpRequest,
    id: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let id = parse(&id)?;
    let credentials = services.credentials.get(id.as_str());
    let credentials = credentials.ok_or_else(|| none(&id))?;
    etag::json(&request, &*credentials)
}

/// Makes them, in the place of those that the device has.
pub(in crate::http) async fn post(
    caller: Caller,
    request: HttpRequest,
    id: Path<String>,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let id = parse(&id)?;
    let Body { kind, signed } = body::read_json(&request, payload, &services.settings).await?;
    if let Some(kind) = kind
        && let Some(device) = services.state.device(&id)
        && device.kind != kind
    {
        let is = device.kind;
        return Err(ApiError::Invalid(format!("{id} has joined as a {is}: remove it first")));
    }
    let IssuedCredentials { kept, secret, command_key } =
        services.credentials.issue(&id, kind, signed).await?;
    tracing::info!(
        device = %id, kind = kept.kind.map(tracing::field::display), signed = kept.is_signed(),
        "credentials made"
    );
    let event = Event::of(Kind::Credential, &caller.0, "make").device(&id);
    services.events.record_and_wait(event).await;
    let issued = Issued {
        device: &id,
        kind,
        username: &id,
        password: secret.reveal(),
        command_key: command_key.map(|key| key.reveal()),
        client_id: &id,
        topics: services.handle.topics_of(&id),
    };
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/api/v1/devices/{id}/credentials")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(issued))
}

/// Revokes them: whoever is connected by them is not, a moment later.
pub(in crate::http) async fn delete(
    caller: Caller,
    id: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let id = parse(&id)?;
    if !services.credentials.revoke(&id).await? {
        return Err(none(&id));
    }
    tracing::info!(device = %id, "credentials revoked");
    let event = Event::of(Kind::Credential, &caller.0, "revoke").device(&id);
    services.events.record_and_wait(event).await;
    Ok(HttpResponse::NoContent().finish())
}

fn none(id: &DeviceId) -> ApiError {
    ApiError::NotFound(format!("{id} has no credentials"))
}
