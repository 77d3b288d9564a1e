//! `/api/v1/commands/{id}`: one command, under way or ended.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use crate::commands::CommandId;
use crate::http::auth::Caller;
use crate::http::command_view::CommandView;
use crate::http::openapi::IfNoneMatch;
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, etag};

/// One command: how far it came, or how it ended.
///
/// A guest may ask for those of the time that the device is granted to them.
#[utoipa::path(
    get,
    path = "/api/v1/commands/{id}",
    tag = "devices",
    operation_id = "getCommand",
    params(("id" = CommandId, Path, description = "The command."), IfNoneMatch),
    responses(
        (status = 200, description = "The command.", body = CommandView<'_>),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    caller: Caller,
    id: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let missing = || ApiError::NotFound("there is no such command".to_owned());
    let id: CommandId = id.parse().map_err(|_| missing())?;
    let command = services.commands.get(id).await?;
    let command = command.ok_or_else(missing)?;
    let view = caller.view(&services, &command.device);
    let view = view.filter(|view| view.shows(command.issued_at)).ok_or_else(missing)?;
    etag::json(&request, &CommandView::seen(&command, &view))
}
