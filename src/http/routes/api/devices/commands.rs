//! `/api/v1/devices/{id}/commands`: what one device was told to do.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{missing, parse};
use crate::commands::{CommandId, Verb};
use crate::device_interface::Selection;
use crate::http::auth::Caller;
use crate::http::command_page::CommandPage;
use crate::http::command_view::CommandView;
use crate::http::openapi::{CommandAnswers, IdempotencyKey, IfNoneMatch};
use crate::http::operate::{self, Ask, Wish};
use crate::http::query::{Limit, Query, Wait};
use crate::http::{ApiError, Services, body, etag};
use crate::state::DeviceId;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct PageParameters {
    /// The most of a page.
    #[serde(default)]
    limit: Limit,
    /// The last id of the page before.
    cursor: Option<CommandId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// For how many seconds the answer may wait for the devices.
    #[serde(default)]
    wait: Wait,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCommand)]
struct Body {
    /// What it is to do.
    verb: Verb,
    /// The id that the command is to have, a UUIDv7: asked for twice, it is
    /// given once.
    id: Option<CommandId>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CommandPage)]
struct Page<'a> {
    /// Each of them.
    commands: Vec<CommandView<'a>>,
    /// What to show as `cursor` for the next page; none after the last.
    next_cursor: Option<CommandId>,
}

/// A page of the device's commands, newest first.
///
/// A guest finds those of the time that the device is granted to them, and
/// nobody's name but their own; a page of theirs may be short, or empty, and
/// have another behind it.
#[utoipa::path(
    get,
    path = "/api/v1/devices/{id}/commands",
    tag = "devices",
    operation_id = "listCommands",
    params(("id" = DeviceId, Path, description = "The device."), PageParameters, IfNoneMatch),
    responses(
        (status = 200, description = "A page of them.", body = Page<'_>),
    ),
)]
pub(in crate::http) async fn list(
    request: HttpRequest,
    caller: Caller,
    id: Path<String>,
    query: Query<PageParameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let device = parse(&id)?;
    let view = caller.view(&services, &device).ok_or_else(|| missing(&device))?;
    let page = CommandPage { device: &device, view: &view, limit: query.limit };
    let (commands, next_cursor) = page.read(&services.commands, query.cursor).await?;
    if commands.is_empty() && services.state.device(&device).is_none() {
        return Err(missing(&device));
    }
    let commands = commands.iter().map(|command| CommandView::seen(command, &view)).collect();
    etag::json(&request, &Page { commands, next_cursor })
}

/// Tells the device to do something; with an `id`, once for that id.
///
/// The answer waits for the device, `wait` seconds at the most.
#[utoipa::path(
    post,
    path = "/api/v1/devices/{id}/commands",
    tag = "operate",
    operation_id = "command",
    params(("id" = DeviceId, Path, description = "The device."), Parameters, IdempotencyKey),
    request_body(content = Body),
    responses(
        CommandAnswers,
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    id: Path<String>,
    query: Query<Parameters>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let device = parse(&id)?;
    let Body { verb, id } = body::read_json(&request, payload, &services.settings).await?;
    let ask = Ask::Operate { verb, selection: Selection::Device(device), command_id: id };
    let route = "POST /api/v1/devices/{id}/commands";
    let wish = Wish { route, ask, wait: query.wait };
    operate::operate(&request, &services, wish).await
}
