//! `/api/v1/me/pins`: the codes for keypads of whoever asks. They are made up:
//! whoever may choose one learns which are taken.

use std::sync::Arc;

use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};

use crate::http::auth::Caller;
use crate::http::openapi::IfNoneMatch;
use crate::http::pin_view::{self, Made, PinBody, PinList, missing};
use crate::http::query::NoQuery;
use crate::http::{ApiError, Services, body, etag};
use crate::identity::pins::PinId;
use crate::identity::{Account, AccountKind, Role, Scope, Who};

/// What is kept of one's own codes for keypads.
#[utoipa::path(
    get,
    path = "/api/v1/me/pins",
    tag = "pins",
    operation_id = "listOwnPins",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "All of them.", body = PinList),
    ),
)]
pub(in crate::http) async fn list(
    request: HttpRequest,
    caller: Caller,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let account = account_of(&services, &caller)?;
    let pins = services.keypads.pins().of(account.id).await?;
    etag::json(&request, &PinList::of(&services, pins))
}

/// Makes one more code for oneself, and tells it: this once.
///
/// The server makes it up: whoever may choose one learns which are taken.
#[utoipa::path(
    post,
    path = "/api/v1/me/pins",
    tag = "pins",
    operation_id = "addOwnPin",
    request_body(content = PinBody),
    responses(
        (status = 201, description = "The code, this once.", body = Made<'_>, headers(("Location" = String, description = "Where it is."))),
        (status = 409, description = "There are too many."),
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    caller: Caller,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let body: PinBody = body::read_json(&request, payload, &services.settings).await?;
    let account = account_of(&services, &caller)?;
    if body.is_chosen() {
        return Err(ApiError::NotAllowed("code: the server makes it up".to_owned()));
    }
    // A code lasts longer than the token that has it made, and is for no more.
    for scope in [Scope::LocksOperate, Scope::LightsOperate] {
        let is_more = account.allowed_scopes().has(scope);
        if is_more && services.permissions.may(&caller.0, scope).is_err() {
            return Err(ApiError::NotAllowed(format!(
                "the code would be good for `{scope}`, and the token is not"
            )));
        }
    }
    pin_view::make(&services, caller, &account, body).await
}

/// Removes one of one's own codes: it is good for nothing from then on.
#[utoipa::path(
    delete,
    path = "/api/v1/me/pins/{id}",
    tag = "pins",
    operation_id = "removeOwnPin",
    params(("id" = PinId, Path, description = "The code's id, which is not the code.")),
    responses(
        (status = 204, description = "It is good for nothing."),
    ),
)]
pub(in crate::http) async fn delete(
    caller: Caller,
    id: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let account = account_of(&services, &caller)?;
    let id = id.parse().map_err(|_| missing())?;
    let pin = services.keypads.pins().get(id).await?;
    let pin = pin.filter(|pin| pin.account == account.id).ok_or_else(missing)?;
    pin_view::remove(&services, caller, pin).await
}

/// The person who asks; a guest has the codes that others make.
fn account_of(services: &Services, caller: &Caller) -> Result<Arc<Account>, ApiError> {
    let account = match &caller.0.who {
        Who::Account { id, .. } => services.directory.get(*id),
        _ => None,
    };
    account
        .filter(|account| account.kind == AccountKind::User && account.role != Role::Guest)
        .ok_or_else(|| ApiError::NotAllowed("only an owner or a member has these".to_owned()))
}
