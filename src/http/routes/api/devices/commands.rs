//! `/api/v1/devices/{id}/commands`: what one device was told to do.

use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::{missing, parse, parse_seen};
use crate::commands::{CommandId, Verb};
use crate::device_interface::Selection;
use crate::http::auth::Caller;
use crate::http::command_view::CommandView;
use crate::http::operate::{self, Ask, Wish};
use crate::http::query::{Limit, Wait};
use crate::http::{ApiError, Services, body, etag};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PageParameters {
    #[serde(default)]
    limit: Limit,
    /// The last id of the page before.
    cursor: Option<CommandId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Parameters {
    #[serde(default)]
    wait: Wait,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    verb: Verb,
    id: Option<CommandId>,
}

#[derive(Debug, Serialize)]
struct Page<'a> {
    commands: Vec<CommandView<'a>>,
    next_cursor: Option<CommandId>,
}

/// A page of the device's commands, newest first.
pub(in crate::http) async fn list(
    request: HttpRequest,
    caller: Caller,
    id: Path<String>,
    query: Query<PageParameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let device = parse_seen(&id, &caller, &services)?;
    let Limit(limit) = query.limit;
    let mut commands = services.commands.of_device(&device, query.cursor, limit + 1).await?;
    if commands.is_empty() && services.state.device(&device).is_none() {
        return Err(missing(&device));
    }
    let more = commands.len() > limit as usize;
    commands.truncate(limit as usize);
    let next_cursor = commands.last().filter(|_| more).map(|command| command.id);
    let commands = commands.iter().map(CommandView::of).collect();
    etag::json(&request, &Page { commands, next_cursor })
}

/// Tells the device to do something; with an `id`, once for that id.
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
