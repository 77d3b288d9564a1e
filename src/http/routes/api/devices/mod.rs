//! `/api/v1/devices`: the roster, and `/api/v1/devices/{id}`.

pub(in crate::http) mod commands;
pub(in crate::http) mod credentials;

use std::sync::Arc;

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use crate::events::{Event, Kind};
use crate::http::auth::Caller;
use crate::http::query::{Limit, NoQuery};
use crate::http::{ApiError, Services, etag};
use crate::identity::devices::DeviceCredential;
use crate::state::{Device, DeviceId, DeviceKind};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Parameters {
    kind: Option<DeviceKind>,
    #[serde(default)]
    limit: Limit,
    /// The last id of the page before.
    cursor: Option<DeviceId>,
    #[serde(default)]
    count: bool,
}

#[derive(Debug, Serialize)]
struct Page {
    devices: Vec<WithCredentials>,
    next_cursor: Option<DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<usize>,
}

/// One device, and whether it has credentials.
#[derive(Debug, Serialize)]
struct WithCredentials {
    #[serde(flatten)]
    device: Arc<Device>,
    credentials: Option<Arc<DeviceCredential>>,
}

impl WithCredentials {
    fn of(device: Arc<Device>, services: &Services) -> Self {
        let credentials = services.credentials.get(device.id.as_str());
        Self { device, credentials }
    }
}

/// A page of the roster, by id.
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
    let more = devices.len() > limit.0 as usize;
    devices.truncate(limit.0 as usize);
    let next_cursor = devices.last().filter(|_| more).map(|device| device.id.clone());
    let devices =
        devices.into_iter().map(|device| WithCredentials::of(device, &services)).collect();
    etag::json(&request, &Page { devices, next_cursor, total })
}

/// One device.
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

/// Forgets a device and revokes its credentials; when this answers, both are
/// gone on disk.
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
