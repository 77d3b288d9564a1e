//! `/api/v1/credentials`: who is let in as a device, whether it has come or
//! not.

use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::openapi::IfNoneMatch;
use crate::http::query::{Limit, Query};
use crate::http::{ApiError, Services, etag};
use crate::identity::devices::DeviceCredential;
use crate::state::DeviceId;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// Those of devices that have joined alone, or of those that have not.
    joined: Option<bool>,
    /// The most of a page.
    #[serde(default)]
    limit: Limit,
    /// The last device of the page before.
    cursor: Option<DeviceId>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CredentialPage)]
struct Page {
    /// Each of them.
    credentials: Vec<OfDevice>,
    /// What to show as `cursor` for the next page; none after the last.
    next_cursor: Option<DeviceId>,
}

/// What is kept of a device's credentials, and whether it is in the roster.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CredentialOfDevice)]
struct OfDevice {
    #[serde(flatten)]
    kept: Arc<DeviceCredential>,
    /// Whether the device has joined.
    #[schema(example = false)]
    joined: bool,
}

/// A page of what is kept of devices' credentials, by device; the passwords
/// are not among it.
#[utoipa::path(
    get,
    path = "/api/v1/credentials",
    tag = "joining",
    operation_id = "listCredentials",
    params(Parameters, IfNoneMatch),
    responses(
        (status = 200, description = "A page of them.", body = Page),
    ),
)]
pub(in crate::http) async fn list(
    request: HttpRequest,
    query: Query<Parameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Parameters { joined: wanted, limit, cursor } = query.into_inner();
    let all = services.credentials.behind(cursor.as_ref()).into_iter().map(|kept| {
        let joined = services.state.device(&kept.device).is_some();
        OfDevice { kept, joined }
    });
    let wanted = all.filter(|one| wanted.is_none_or(|wanted| one.joined == wanted));
    let mut credentials: Vec<OfDevice> = wanted.take(limit.0 as usize + 1).collect();
    let more = limit.cut(&mut credentials);
    let next_cursor = credentials.last().filter(|_| more).map(|one| one.kept.device.clone());
    etag::json(&request, &Page { credentials, next_cursor })
}
