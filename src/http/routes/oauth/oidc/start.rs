//! `GET /oauth/oidc/start`: sends a browser to the provider.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::super::cookie;
use super::super::error::not_stored;
use super::{page, provider};
use crate::config::HttpSettings;
use crate::http::peer::Peer;
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Origins, Services};

/// Where the provider sends people back to.
const BACK: &str = "/oauth/oidc/callback";

/// Sends a browser to the OpenID Connect provider.
///
/// With a cookie by which the browser is known when it comes back.
#[utoipa::path(
    get,
    path = "/oauth/oidc/start",
    tag = "sign-in",
    operation_id = "signInAtProvider",
    responses(
        (status = 303, description = "To the provider.", headers(("Location" = String, description = "The provider's page."))),
        (status = 404, description = "There is no provider (`oidc.issuer`)."),
        (status = 429, description = "Too many attempts: a page that says so.", body = String, content_type = "text/html", example = "<!doctype html>"),
        (status = 502, description = "The provider's words cannot be believed: a page that says so.", body = String, content_type = "text/html", example = "<!doctype html>"),
        (status = 503, description = "The provider is away, or the server is busy: a page that says so.", body = String, content_type = "text/html", example = "<!doctype html>"),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    _: Query<NoQuery>,
    origins: Data<Origins>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let provider = provider(&services)?;
    // No other page signs anybody in.
    origins.check_origin(request.headers())?;
    let peer = Peer::of(&request);
    let back = format!("{}{BACK}", origin(&request, &services.settings, peer));
    let begun = services.sign_in.begin_at_provider(provider, back, peer.address).await;
    let begun = match begun {
        Ok(begun) => begun,
        Err(error) => return Ok(page::refused(&error)),
    };
    let mut response = not_stored(StatusCode::SEE_OTHER);
    response.insert_header((header::LOCATION, begun.url));
    Ok(response.append_header(cookie::PROVIDER.set(&begun.browser, &request)).finish())
}

/// How the browser calls this server: the provider has to know that URL, and
/// sends people there alone. The envelope has checked that the name is ours.
fn origin(request: &HttpRequest, settings: &HttpSettings, peer: Peer) -> String {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default().to_ascii_lowercase();
    let public = settings.public_url.as_ref().map(|url| url.trim_end_matches('/'));
    let is_public = |url: &&str| {
        url.split_once("://").is_some_and(|(_, name)| name.eq_ignore_ascii_case(&host))
    };
    match public.filter(is_public) {
        Some(url) => url.to_owned(),
        None if peer.is_tls => format!("https://{host}"),
        None => format!("http://{host}"),
    }
}
