//! `POST /oauth/token`: who shows a password, an API key or a refresh token
//! gets an access token.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::cookie;
use super::error;
use super::error::{OauthError, not_stored};
use super::form;
use crate::http::Services;
use crate::http::authorization::Shown;
use crate::http::peer::Peer;
use crate::identity::{Granted, RefreshToken, Scopes, ShownPassword};

/// The fields of RFC 6749; a secret among them is in no log.
#[derive(Deserialize, ToSchema)]
#[schema(as = TokenForm)]
struct Form {
    /// `password`, `refresh_token` or `client_credentials`.
    #[schema(example = "password")]
    grant_type: String,
    /// For `password`: the name.
    #[schema(example = "ann")]
    username: Option<String>,
    /// For `password`.
    #[schema(value_type = Option<String>, format = Password, example = "correct horse battery")]
    password: Option<ShownPassword>,
    /// For `client_credentials`: the API key's name.
    #[schema(example = json!(null))]
    client_id: Option<String>,
    /// For `client_credentials`: the API key.
    #[schema(example = json!(null))]
    client_secret: Option<String>,
    /// For `refresh_token`: the one that came last.
    #[schema(example = json!(null))]
    refresh_token: Option<String>,
    /// What the token is to be good for; without it, all that may be.
    #[schema(example = "devices:read locks:operate")]
    scope: Option<String>,
    /// `cookie`: the refresh token is in a cookie, which the page's scripts
    /// cannot read, and not in the answer.
    #[schema(example = json!(null))]
    refresh_token_in: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
struct Body {
    /// To be shown as `Authorization: Bearer …`.
    #[schema(example = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl")]
    access_token: String,
    /// `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// For how many seconds it is good.
    #[schema(example = 600)]
    expires_in: u64,
    /// Good once, for the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "llr_1f3870be274f6c49b3e31a0c6728957f")]
    refresh_token: Option<String>,
    /// What it is good for.
    scope: Scopes,
}

/// Lets somebody in: an access token for a password, a key or a refresh token.
///
/// `grant_type` is `password` with `username` and `password`; `refresh_token`
/// with the `refresh_token` that came before, good once; or `client_credentials`
/// with the name and the secret of an API key, as `client_id` and
/// `client_secret` or by HTTP Basic. `scope` asks for less than all.
#[utoipa::path(
    post,
    path = "/oauth/token",
    tag = "sign-in",
    operation_id = "token",
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "A token.", body = Body),
        (status = 400, description = "It lets nobody in, and why, in the words of RFC 6749.", body = error::Body<'_>),
        (status = 401, description = "A program showed a secret which is not its own.", body = error::Body<'_>),
        (status = 429, description = "Too many attempts: `Retry-After`.", body = error::Body<'_>),
        (status = 503, description = "Too many at once, or nobody can be let in now.", body = error::Body<'_>),
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
            tracing::warn!(why = error.description(), "sign-in refused");
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
    let in_cookie = match form.refresh_token_in.as_deref() {
        None => false,
        Some("cookie") => true,
        Some(_) => return Err(OauthError::request("refresh_token_in: it can be `cookie` alone")),
    };
    if in_cookie {
        cookie::check_page(request)?;
    }
    let granted = grant(request, form, in_cookie, services).await?;
    let mut response = not_stored(StatusCode::OK);
    let mut refresh_token = granted.refresh_token.as_ref().map(RefreshToken::reveal);
    if in_cookie && let Some(token) = refresh_token.take() {
        response.insert_header(cookie::REFRESH.set(&token, request));
    }
    Ok(response.json(Body {
        access_token: granted.access_token,
        token_type: "Bearer",
        expires_in: granted.lifetime.as_secs(),
        refresh_token,
        scope: granted.scopes,
    }))
}

async fn grant(
    request: &HttpRequest,
    form: Form,
    in_cookie: bool,
    services: &Services,
) -> Result<Granted, OauthError> {
    let wanted = form.scope.as_deref().filter(|scope| !scope.is_empty()).map(str::parse);
    let wanted: Option<Scopes> = wanted.transpose().map_err(|error| {
        let error: crate::identity::InvalidScope = error;
        OauthError::new("invalid_scope", error.to_string())
    })?;
    let address = Peer::of(request).address;
    let client = client(request, form.client_id, form.client_secret)?;
    let missing = |field: &str| OauthError::request(format!("the form lacks `{field}`"));
    let sign_in = &services.sign_in;
    match form.grant_type.as_str() {
        "client_credentials" => {
            let (name, secret) = client.ok_or_else(|| missing("client_secret"))?;
            sign_in.by_key(&name, &secret, wanted, address).map_err(|error| match error {
                crate::identity::SignInError::Wrong => OauthError::client(),
                error => error.into(),
            })
        }
        // Whoever uses an app is let in, whichever app it is.
        "password" | "refresh_token" if client.is_some() => Err(OauthError::client()),
        "password" => {
            let name = form.username.ok_or_else(|| missing("username"))?;
            let password = form.password.ok_or_else(|| missing("password"))?;
            Ok(sign_in.by_password(&name, password, wanted, address).await?)
        }
        "refresh_token" => {
            let kept = cookie::REFRESH.read(request.headers()).filter(|_| in_cookie);
            let token = form.refresh_token.as_deref().or(kept);
            let token = token.ok_or_else(|| {
                OauthError::new("invalid_grant", "there is no refresh token: sign in")
            })?;
            // One that comes again ends the sign-in, though its client goes.
            let (sign_in, token) = (sign_in.clone(), token.to_owned());
            let work = async move { sign_in.by_refresh_token(&token, wanted, address).await };
            Ok(services.whole(work).await??)
        }
        _ => Err(OauthError::new(
            "unsupported_grant_type",
            "it can be password, client_credentials or refresh_token",
        )),
    }
}

/// The name and the secret of a program, by Basic or in the form, if it shows
/// a secret at all.
fn client(
    request: &HttpRequest,
    id: Option<String>,
    secret: Option<String>,
) -> Result<Option<(String, String)>, OauthError> {
    match (Shown::of(request.headers()), secret) {
        (Shown::Nothing, None) => Ok(None),
        (Shown::Nothing, Some(secret)) => {
            let id = id.ok_or_else(|| OauthError::request("the form lacks `client_id`"))?;
            Ok(Some((id, secret)))
        }
        (Shown::Basic { secret, .. }, None) if secret.is_empty() => Ok(None),
        (Shown::Basic { name, secret }, None) => Ok(Some((name, secret))),
        (Shown::Basic { .. }, Some(_)) => {
            Err(OauthError::request("a client shows its secret in one way"))
        }
        (Shown::Bearer(_) | Shown::Odd, _) => {
            Err(OauthError::request("Authorization can be Basic here"))
        }
    }
}
