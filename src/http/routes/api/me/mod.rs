//! `/api/v1/me`: who asks, and what they may do.

pub(in crate::http) mod password;
pub(in crate::http) mod pins;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use latchlight_plugin_api as plugin_api;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::commands::Verb;
use crate::http::auth::Caller;
use crate::http::openapi::IfNoneMatch;
use crate::http::query::{Limit, Query};
use crate::http::{ApiError, Services, etag};
use crate::identity::{AccountGrant, Principal, Role, Scope, Scopes, Who};
use crate::state::{Device, DeviceId, DeviceKind};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// The most of a page.
    #[serde(default)]
    limit: Limit,
    /// The last device of the page before.
    cursor: Option<DeviceId>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// `app:<name>`, as in records.
    #[schema(example = "app:ann")]
    identity: String,
    /// The name alone.
    #[schema(example = "ann")]
    name: String,
    /// What they are in the house.
    role: Role,
    /// What this request was let in for, as far as it holds now.
    scopes: Scopes,
    /// What they may do to which devices; an owner needs none.
    grants: Vec<AccountGrant>,
    /// A page of the devices that may be seen now, by id.
    devices: Vec<Allowed>,
    /// What to show as `cursor` for the next page; none after the last.
    next_cursor: Option<DeviceId>,
}

/// A device, and what may be done to it now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AllowedDevice)]
struct Allowed {
    /// The device.
    id: DeviceId,
    /// What it is.
    kind: DeviceKind,
    /// What may be done to it now.
    actions: Vec<Verb>,
}

/// Who asks, and what they may do to which devices at this moment.
#[utoipa::path(
    get,
    path = "/api/v1/me",
    tag = "me",
    operation_id = "getMe",
    params(Parameters, IfNoneMatch),
    responses(
        (status = 200, description = "Who asks.", body = Me),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    caller: Caller,
    query: Query<Parameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Parameters { limit, cursor } = query.into_inner();
    let mut devices = services.state.devices();
    devices.retain(|device| caller.sees(&services, &device.id));
    if let Some(cursor) = cursor {
        let from = devices.partition_point(|device| device.id <= cursor);
        devices.drain(..from);
    }
    let more = limit.cut(&mut devices);
    let next_cursor = devices.last().filter(|_| more).map(|device| device.id.clone());
    let allowed = |device: &Device| Allowed {
        id: device.id.clone(),
        kind: device.kind,
        actions: Verb::ALL
            .into_iter()
            .filter(|verb| verb.meaning_for(device.kind) == Some(*verb))
            .filter(|verb| services.permissions.may_operate(&caller.0, *verb, device).is_ok())
            .collect(),
    };
    let devices = devices.iter().map(|device| allowed(device)).collect();
    let scopes = Scope::ALL.into_iter();
    let scopes = scopes.filter(|scope| services.permissions.may(&caller.0, *scope).is_ok());
    let scopes = scopes.collect();
    let account = match &caller.0.who {
        Who::Account { id, .. } => services.directory.get(*id),
        _ => None,
    };
    let me = Me {
        identity: caller.0.to_string(),
        name: name_of(&caller.0),
        role: account.as_ref().map_or(Role::Owner, |account| account.role),
        scopes,
        grants: account.map_or_else(Vec::new, |account| account.grants.clone()),
        devices,
        next_cursor,
    };
    etag::json(&request, &me)
}

fn name_of(principal: &Principal) -> String {
    match principal.caller() {
        plugin_api::Caller::App(name)
        | plugin_api::Caller::Device(name)
        | plugin_api::Caller::Plugin(name)
        | plugin_api::Caller::Topic(name) => name,
    }
}
