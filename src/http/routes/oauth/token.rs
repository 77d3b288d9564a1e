//! `POST /oauth/token`: who shows a password, an API key or a refresh token
//! gets an access token.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::cookie;
use super::error::{OauthError, not_stored};
use super::form;
use crate::http::Services;
use crate::http::authorization::Shown;
use crate::http::peer::Peer;
use crate::identity::{Granted, RefreshToken, Scopes, ShownPassword};

/// The fields of RFC 6749; a secret among them is in no log.
#[derive(Deserialize)]
struct Form {
    grant_type: String,
    username: Option<String>,
    password: Option<ShownPassword>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    scope: Option<String>,
    /// `cookie`: the refresh token is in a cookie, which the page's scripts
    /// cannot read, and not in the answer.
    refresh_token_in: Option<String>,
}

#[derive(Serialize)]
struct Body {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    scope: Scopes,
}

/// Lets somebody in, or says why not.
pub(in crate::http) async fn post(
    request: HttpRequest,
    payload: Payload,
    services: Data<Services>,
) -> HttpResponse {
    match answer(&request, payload, &services).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(why = ?error, "sign-in refused");
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
