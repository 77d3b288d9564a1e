//! `/oauth/oidc`: signing in through an OpenID Connect provider. What is here
//! is for browsers: what goes wrong is a page for people.

pub(in crate::http) mod callback;
mod page;
pub(in crate::http) mod start;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::not_stored;
use crate::http::{ApiError, Services};
use crate::identity::oidc::Provider;

#[derive(Serialize, ToSchema)]
#[schema(as = Provider)]
struct Body<'a> {
    /// What the provider is called; `null`: there is none.
    #[schema(example = "Sign in with id.example")]
    button: Option<&'a str>,
}

/// Whether people can sign in through an OpenID Connect provider.
#[utoipa::path(
    get,
    path = "/oauth/oidc",
    tag = "sign-in",
    operation_id = "getProvider",
    responses((status = 200, description = "What the provider is called.", body = Body<'_>)),
)]
pub(in crate::http) async fn get(services: Data<Services>) -> HttpResponse {
    let button = services.provider.as_ref().map(Provider::button);
    not_stored(StatusCode::OK).json(Body { button })
}

fn provider(services: &Services) -> Result<&Provider, ApiError> {
    let provider = services.provider.as_ref();
    provider.ok_or_else(|| ApiError::NotFound("there is no provider (oidc.issuer)".to_owned()))
}
