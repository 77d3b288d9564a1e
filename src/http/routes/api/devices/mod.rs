//! `/api/v1/devices`: the roster, and `/api/v1/devices/{id}`.

pub(in crate::http) mod commands;
pub(in crate::http) mod credentials;

use std::sync::Arc;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::events::{Event, Kind};
use crate::http::auth::Caller;
use crate::http::openapi::IfNoneMatch;
use crate::http::query::{Limit, NoQuery, Query};
use crate::http::{ApiError, Services, etag};
use crate::identity::devices::DeviceCredential;
use crate::state::{Device, DeviceId, DeviceKind};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// Those of this kind alone.
    kind: Option<DeviceKind>,
    /// The most of a page.
    #[serde(default)]
    limit: Limit,
    /// The last id of the page before.
    cursor: Option<DeviceId>,
    /// Whether `total` is wanted.
    #[serde(default)]
    count: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DevicePage)]
struct Page {
    /// Each of them.
    devices: Vec<WithCredentials>,
    /// What to show as `cursor` for the next page; none after the last.
    next_cursor: Option<DeviceId>,
    /// How many there are on all pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    total: Option<usize>,
}

/// One device, and whether it has credentials.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeviceWithCredentials)]
struct WithCredentials {
    #[serde(flatten)]
    device: Arc<Device>,
    /// What is kept of its credentials, if it has any.
    credentials: Option<Arc<DeviceCredential>>,
}

impl WithCredentials {
    fn of(device: Arc<Device>, services: &Services) -> Self {
        let credentials = services.credentials.get(device.id.as_str());
        Self { device, credentials }
    }
}

/// A page of the roster, by id.
#[utoipa::path(
    get,
    path = "/api/v1/devices",
    tag = "devices",
    operation_id = "listDevices",
    params(Parameters, IfNoneMatch),
    responses(
        (status = 200, description = "A page of them.", body = Page),
    ),
)]
pub(in crate::http) async fn list(
    request: HttpRequest,
    caller: Caller,
    query: Query<Parameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Parameters { kind, limit, cursor, count } = query.into_inner();
    let mut devices = services.state.devices();
    devices.retain(|device| {
        kind.is_none_or(|kind| device.kind == kind) && caller.sees(&services, &device.id)
    });
    let total = count.then_some(devices.len());
    if let Some(cursor) = cursor {
        let from = devices.partition_point(|device| device.id <= cursor);
        devices.drain(..from);
    }
    let more = limit.cut(&mut devices);
    let next_cursor = devices.last().filter(|_| more).map(|device| device.id.clone());
    let devices =
        devices.into_iter().map(|device| WithCredentials::of(device, &services)).collect();
    etag::json(&request, &Page { devices, next_cursor, total })
}

/// One device: what it is, and what it last said.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{id}",
    tag = "devices",
    operation_id = "getDevice",
    params(("id" = DeviceId, Path, description = "The device."), IfNoneMatch),
    responses(
        (status = 200, description = "The device.", body = WithCredentials),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    caller: Caller,
    id: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let id = parse_seen(&id, &caller, &services)?;
    let device = services.state.device(&id).ok_or_else(|| missing(&id))?;
    etag::json(&request, &WithCredentials::of(device, &services))
}

/// Forgets a device and revokes its credentials.
///
/// When this answers, both are gone on disk.
#[utoipa::path(
    delete,
    path = "/api/v1/devices/{id}",
    tag = "devices",
    operation_id = "removeDevice",
    params(("id" = DeviceId, Path, description = "The device.")),
    responses(
        (status = 204, description = "It is gone, and its credentials with it."),
    ),
)]
pub(in crate::http) async fn delete(
    caller: Caller,
    id: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let id = parse_seen(&id, &caller, &services)?;
    // First, or it would join again.
    let revoked = services.credentials.revoke(&id).await?;
    if !services.state.remove(&id).await? && !revoked {
        return Err(missing(&id));
    }
    tracing::info!(device = %id, "device removed");
    let event = Event::of(Kind::Device, &caller.0, "remove").device(&id);
    services.events.record_and_wait(event).await;
    Ok(HttpResponse::NoContent().finish())
}

fn parse(id: &str) -> Result<DeviceId, ApiError> {
    // What cannot be a device's id is no device's id.
    id.parse().map_err(|error| ApiError::NotFound(format!("there is no such device: {error}")))
}

/// The id of a device that may be there for this caller: one that may not be
/// seen is not there.
fn parse_seen(id: &str, caller: &Caller, services: &Services) -> Result<DeviceId, ApiError> {
    let id = parse(id)?;
    if caller.sees(services, &id) { Ok(id) } else { Err(missing(&id)) }
}

fn missing(id: &DeviceId) -> ApiError {
    ApiError::NotFound(format!("there is no device {id}"))
}
