//! `/api/v1/me/password`: who knows the old one has a new one.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::events::{Event, Kind};
use crate::http::auth::Caller;
use crate::http::password_change::{self, PasswordIsSet};
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, body};
use crate::identity::pins::PinsThen;
use crate::identity::{Account, AccountKind, NewPassword, ShownPassword, Who};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangedPassword)]
struct Body {
    /// The one that holds.
    #[schema(value_type = String, format = Password, example = "correct horse battery")]
    old: ShownPassword,
    /// The one that is to hold.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 200, example = "a new word for ann")]
    new: NewPassword,
    /// What becomes of one's codes for keypads. Without it they are good as
    /// before: whoever knows the old password knows whether anything was stolen.
    #[serde(default = "keep")]
    #[schema(default = "keep")]
    pins: PinsThen,
}

/// Changes one's own password.
///
/// Every token is void when this answers, also the one that asked; codes for
/// keypads are so where it is said.
#[utoipa::path(
    post,
    path = "/api/v1/me/password",
    tag = "me",
    operation_id = "changePassword",
    request_body(content = Body),
    responses(
        (status = 200, description = "The new password holds, every token is void, and this is what became of the codes.", body = PasswordIsSet),
        (status = 409, description = "Somebody else has changed it meanwhile."),
        (status = 429, description = "Too many wrong ones."),
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    caller: Caller,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Body { old, new, pins } = body::read_json(&request, payload, &services.settings).await?;
    let account = match &caller.0.who {
        Who::Account { id, .. } => services.directory.get(*id),
        _ => None,
    };
    let account = account.filter(|account| account.kind == AccountKind::User);
    let account = account
        .ok_or_else(|| ApiError::NotAllowed("only who signs in has a password".to_owned()))?;
    let before = account.proof.password.clone();
    if !services.sign_in.knows_password(&account, old, caller.0.address).await? {
        let refused = Event::of(Kind::Credential, &caller.0, "change_password");
        services.events.refused(refused.refused("a wrong old password"));
        return Err(ApiError::NotAllowed("the old password is another one".to_owned()));
    }
    new.check_against(&account.name)?;
    let hash = services.passwords.hash(new).await?;
    let work = {
        let services = services.clone();
        async move {
            let mut changed = false;
            let change = |account: &mut Account| {
                // Somebody else may have set one meanwhile.
                changed = account.proof.password == before;
                if changed {
                    account.proof.password = Some(hash);
                    account.revoke_tokens();
                }
            };
            let account = services.directory.change(account.id, change).await?;
            if !changed {
                return Err(ApiError::Conflict("the password was changed meanwhile".to_owned()));
            }
            password_change::follow(&services, &caller, &account, "change_password", pins).await
        }
    };
    Ok(services.to_the_end(work).await?.into_response())
}

fn keep() -> PinsThen {
    PinsThen::Keep
}
