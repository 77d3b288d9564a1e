//! `POST /oauth/revoke`: a sign-in ends, or a single access token (RFC 7009).

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::cookie;
use super::error;
use super::error::{OauthError, not_stored};
use super::form;
use crate::http::Services;
use crate::http::peer::Peer;

#[derive(Deserialize, ToSchema)]
#[schema(as = RevokeForm)]
struct Form {
    /// The refresh token, whose sign-in ends, or an access token.
    #[schema(example = "llr_1f3870be274f6c49b3e31a0c6728957f")]
    token: Option<String>,
    /// `cookie`: the token is in the page's cookie.
    #[schema(example = json!(null))]
    refresh_token_in: Option<String>,
}

/// Ends a sign-in by its refresh token, or makes one access token void.
#[utoipa::path(
    post,
    path = "/oauth/revoke",
    tag = "sign-in",
    operation_id = "revoke",
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "It is good for nothing, also where it never was."),
        (status = 400, description = "Nothing was revoked, and why.", body = error::Body<'_>),
        (status = 503, description = "Nobody can be let out now.", body = error::Body<'_>),
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    payload: Payload,
    services: Data<Services>,
) -> HttpResponse {
    match answer(&request, payload, &services).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(why = ?error, "nothing revoked");
            error.to_response()
        }
    }
}

async fn answer(
    request: &HttpRequest,
    payload: Payload,
    services: &Services,
) -> Result<HttpResponse, OauthError> {
    let form: Form = form::read(request, payload, &services.settings).await?;
    let in_cookie = form.refresh_token_in.as_deref() == Some("cookie");
    let mut response = not_stored(StatusCode::OK);
    let kept = cookie::REFRESH.read(request.headers()).filter(|_| in_cookie);
    if in_cookie {
        cookie::check_page(request)?;
        response.insert_header(cookie::REFRESH.clear(request));
    }
    let Some(token) = form.token.as_deref().or(kept) else {
        // A page that is signed out already signs out.
        let nothing = in_cookie.then(|| response.finish());
        return nothing.ok_or_else(|| OauthError::request("the form lacks `token`"));
    };
    if token.starts_with("llk_") {
        let why = "an API key is removed, and not revoked here";
        return Err(OauthError::new("unsupported_token_type", why));
    }
    let address = Peer::of(request).address;
    let (sign_in, token) = (services.sign_in.clone(), token.to_owned());
    services.whole(async move { sign_in.revoke(&token, address).await }).await??;
    Ok(response.finish())
}
