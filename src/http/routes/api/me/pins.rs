//! `/api/v1/me/pins`: the codes for keypads of whoever asks. They are made up:
//! whoever may choose one learns which are taken.

use std::sync::Arc;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::commands::Verb;
use crate::config::GrantedDevice;
use crate::events::{Event, Kind};
use crate::http::auth::Caller;
use crate::http::openapi::IfNoneMatch;
use crate::http::pin_view::{self, Made, PinBody, PinList, missing};
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, body, etag};
use crate::identity::pins::{Digits, PinId, PinName};
use crate::identity::{Account, AccountKind, Role, Scope, ShownPassword, Who, Window};

/// What a code for oneself is made of; what is left out is as wide as one's
/// grants.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOwnPin)]
struct Body {
    /// One's own: a code lasts longer than a token that somebody may have taken.
    #[schema(value_type = String, format = Password, example = "correct horse battery")]
    password: ShownPassword,
    /// What it is called in lists.
    name: Option<PinName>,
    /// How many digits it has: 6.
    digits: Option<Digits>,
    /// Good for once.
    #[serde(default)]
    one_time: bool,
    /// What it is good for; `lock` and `unlock`.
    #[schema(min_items = 1)]
    actions: Option<Vec<Verb>>,
    /// For which devices; every one.
    #[schema(min_items = 1, max_items = 100)]
    devices: Option<Vec<GrantedDevice>>,
    /// When; always.
    #[serde(default)]
    window: Window,
}

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
/// It takes one's password again. The server makes the code up: whoever may
/// choose one learns which are taken.
#[utoipa::path(
    post,
    path = "/api/v1/me/pins",
    tag = "pins",
    operation_id = "addOwnPin",
    request_body(content = Body),
    responses(
        (status = 201, description = "The code, this once.", body = Made<'_>, headers(("Location" = String, description = "Where it is."))),
        (status = 409, description = "There are too many."),
        (status = 429, description = "Too many wrong passwords."),
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    caller: Caller,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let body: Body = body::read_json(&request, payload, &services.settings).await?;
    let account = account_of(&services, &caller)?;
    // A code lasts longer than the token that has it made, and is for no more.
    for scope in [Scope::LocksOperate, Scope::LightsOperate] {
        let is_more = account.allowed_scopes().has(scope);
        if is_more && services.permissions.may(&caller.0, scope).is_err() {
            return Err(ApiError::NotAllowed(format!(
                "the code would be good for `{scope}`, and the token is not"
            )));
        }
    }
    let Body { password, name, digits, one_time, actions, devices, window } = body;
    check_password(&services, &caller, &account, password).await?;
    let body = PinBody { name, code: None, digits, one_time, actions, devices, window };
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

/// Whoever asks knows the password; whoever has found a token does not.
async fn check_password(
    services: &Services,
    caller: &Caller,
    account: &Account,
    password: ShownPassword,
) -> Result<(), ApiError> {
    if account.proof.password.is_none() {
        return Err(ApiError::NotAllowed(
            "the account has no password to ask for: an owner makes the code".to_owned(),
        ));
    }
    if services.sign_in.knows_password(account, password, caller.0.address).await? {
        return Ok(());
    }
    let refused = Event::of(Kind::Credential, &caller.0, "add_pin");
    services.events.refused(refused.refused("a wrong password"));
    Err(ApiError::NotAllowed("the password is another one".to_owned()))
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
