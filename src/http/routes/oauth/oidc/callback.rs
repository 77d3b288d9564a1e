//! `GET /oauth/oidc/callback`: a browser comes back from the provider.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::super::cookie;
use super::super::error::not_stored;
use super::{page, provider};
use crate::http::error::Problem;
use crate::http::peer::Peer;
use crate::http::query::Query;
use crate::http::{ApiError, Services};
use crate::identity::RefreshToken;
use crate::identity::oidc::Answer;

/// The board, which is told by the fragment that its cookie is a new one. No
/// request decides where else somebody is sent.
const BOARD: &str = "/#signed-in";

/// A browser comes back from the OpenID Connect provider.
///
/// It gets the cookie that the board's own sign-in gives, too. What goes wrong
/// is a page for people.
#[utoipa::path(
    get,
    path = "/oauth/oidc/callback",
    tag = "sign-in",
    operation_id = "comeBackFromProvider",
    params(Answer),
    responses(
        (status = 303, description = "To the board.", headers(("Location" = String, description = "The board."))),
        (status = 400, description = "The sign-in was not begun in this browser, or is over.", content(
            (String = "text/html", example = "<!doctype html>"), (Problem<'_> = "application/problem+json"),
        )),
        (status = 403, description = "The provider did not let them in, or the house does not know them.", content(
            (String = "text/html", example = "<!doctype html>"), (Problem<'_> = "application/problem+json"),
        )),
        (status = 404, description = "There is no provider (`oidc.issuer`)."),
        (status = 429, description = "Too many attempts.", body = String, content_type = "text/html", example = "<!doctype html>"),
        (status = 502, description = "The provider's words cannot be believed.", body = String, content_type = "text/html", example = "<!doctype html>"),
        (status = 503, description = "The provider is away, or the server is busy.", body = String, content_type = "text/html", example = "<!doctype html>"),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    answer: Query<Answer>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let provider = provider(&services)?.clone();
    let browser = cookie::PROVIDER.read(request.headers()).map(str::to_owned);
    let address = Peer::of(&request).address;
    // The code is used up, though its browser goes.
    let (sign_in, answer) = (services.sign_in.clone(), answer.into_inner());
    let work = async move { sign_in.by_provider(&provider, answer, browser, address).await };
    let mut response = match services.whole(work).await? {
        Ok(granted) => {
            let mut response = not_stored(StatusCode::SEE_OTHER);
            response.insert_header((header::LOCATION, BOARD));
            let token = granted.refresh_token.as_ref().map(RefreshToken::reveal);
            let token = token.unwrap_or_default();
            response.append_header(cookie::REFRESH.set(&token, &request));
            response.finish()
        }
        Err(error) => page::refused(&error),
    };
    let (name, spent) = cookie::PROVIDER.clear(&request);
    if let Ok(spent) = spent.parse() {
        response.headers_mut().append(name, spent);
    }
    Ok(response)
}
