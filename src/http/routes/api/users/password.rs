//! `/api/v1/users/{name}/password`: gives somebody a new one.

use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::find;
use crate::events::Kind;
use crate::http::auth::Caller;
use crate::http::query::NoQuery;
use crate::http::{ApiError, Services, body};
use crate::identity::{Account, NewPassword};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPassword)]
struct Body {
    /// The one that is to hold.
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 200, example = "a new word for ann")]
    password: NewPassword,
}

/// Gives somebody a new password.
///
/// Every token of theirs is void when this answers.
#[utoipa::path(
    post,
    path = "/api/v1/users/{name}/password",
    tag = "users",
    operation_id = "setPassword",
    params(("name" = String, Path, description = "The person.", example = "ann")),
    request_body(content = Body),
    responses(
        (status = 204, description = "The new password holds, and every token is void."),
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
    let Body { password } = body::read_json(&request, payload, &services.settings).await?;
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
            let detail = format!("user {}", account.name);
            caller.record(&services, Kind::Credential, "set_password", &detail).await
        }
    };
    services.to_the_end(work).await?;
    Ok(HttpResponse::NoContent().finish())
}
