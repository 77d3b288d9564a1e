//! `/api/v1/users/{name}/password`: gives somebody a new one.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::find;
use crate::http::auth::Caller;
use crate::http::password_change::{self, PasswordIsSet};
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, body};
use crate::identity::pins::PinsThen;
use crate::identity::{Account, NewPassword};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPassword)]
struct Body {
    /// The one that is to hold.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 200, example = "a new word for ann")]
    password: NewPassword,
    /// What becomes of their codes for keypads. Without it they are disabled:
    /// whoever resets a password may not know what else was stolen.
    #[serde(default = "disable")]
    #[schema(default = "disable")]
    pins: PinsThen,
}

/// Gives somebody a new password.
///
/// Every token of theirs is void when this answers, and their codes for keypads
/// are good for nothing until somebody enables them, unless it is said otherwise.
#[utoipa::path(
    post,
    path = "/api/v1/users/{name}/password",
    tag = "users",
    operation_id = "setPassword",
    params(("name" = String, Path, description = "The person.", example = "ann")),
    request_body(content = Body),
    responses(
        (status = 200, description = "The new password holds, every token is void, and this is what became of the codes.", body = PasswordIsSet),
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    caller: Caller,
    name: Path<String>,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Body { password, pins } = body::read_json(&request, payload, &services.settings).await?;
    let account = find(&services, &name)?;
    password.check_against(&account.name)?;
    let hash = services.passwords.hash(password).await?;
    let work = {
        let services = services.clone();
        async move {
            let change = |account: &mut Account| {
                account.proof.password = Some(hash);
                account.revoke_tokens();
            };
            let account = services.directory.change(account.id, change).await?;
            password_change::follow(&services, &caller, &account, "set_password", pins).await
        }
    };
    Ok(services.to_the_end(work).await?.into_response())
}

fn disable() -> PinsThen {
    PinsThen::Disable
}
