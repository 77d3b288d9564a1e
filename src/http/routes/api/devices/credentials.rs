//! `/api/v1/devices/{id}/credentials`: what a device shows to be let in.

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parse;
use crate::device_interface::DeviceTopicNames;
use crate::events::{Event, Kind};
use crate::http::auth::Caller;
use crate::http::openapi::IfNoneMatch;
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, body, etag};
use crate::identity::devices::{DeviceCredential, IssuedCredentials};
use crate::state::{DeviceId, DeviceKind};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCredentials)]
struct Body {
    /// The device then has to say in its hand shake that it is one.
    kind: Option<DeviceKind>,
    /// Whether its commands are signed; else that stays as it is.
    signed: Option<bool>,
}

/// All that goes into the device. The password and the key are told here and
/// nowhere else.
#[derive(Serialize, ToSchema)]
#[schema(as = IssuedCredentials)]
struct Issued<'a> {
    /// The device.
    device: &'a DeviceId,
    /// What it has to say that it is.
    kind: Option<DeviceKind>,
    /// At CONNECT.
    username: &'a DeviceId,
    /// At CONNECT; told here and nowhere else.
    #[schema(example = "lld_3c59dc048e8850243be8079a5c74d079")]
    password: &'a str,
    /// By which it checks its commands, where they are signed; told here and
    /// nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "c3a5e1f07b9d2c4e6a8f0b1d3e5f7a9c")]
    command_key: Option<String>,
    /// At CONNECT; or `<device>.` and more.
    client_id: &'a DeviceId,
    /// Where it speaks and listens.
    topics: DeviceTopicNames,
}

/// What is kept of a device's credentials; the password is not among it.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{id}/credentials",
    tag = "joining",
    operation_id = "getCredentials",
    params(("id" = DeviceId, Path, description = "The device."), IfNoneMatch),
    responses(
        (status = 200, description = "They are there.", body = DeviceCredential),
    ),
)]
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

/// Makes what a device shows to be let in, in the place of what it has.
///
/// This answer alone has the password.
#[utoipa::path(
    post,
    path = "/api/v1/devices/{id}/credentials",
    tag = "joining",
    operation_id = "makeCredentials",
    params(("id" = DeviceId, Path, description = "The device.")),
    request_body(content = Body),
    responses(
        (status = 201, description = "All that goes into the device.", body = Issued<'_>, headers(("Location" = String, description = "Where they are."))),
    ),
)]
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

/// Revokes a device's credentials.
///
/// Whoever is connected by them is not, a moment later.
#[utoipa::path(
    delete,
    path = "/api/v1/devices/{id}/credentials",
    tag = "joining",
    operation_id = "revokeCredentials",
    params(("id" = DeviceId, Path, description = "The device.")),
    responses(
        (status = 204, description = "They are good for nothing."),
    ),
)]
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
