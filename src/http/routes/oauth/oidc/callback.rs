//! `GET /oauth/oidc/callback`: a browser comes back from the provider.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};

use super::super::cookie;
use super::super::error::not_stored;
use super::{page, provider};
use crate::http::peer::Peer;
use crate::http::{ApiError, Services};
use crate::identity::RefreshToken;
use crate::identity::oidc::Answer;

/// The board, which is told by the fragment that its cookie is a new one. No
/// request decides where else somebody is sent.
const BOARD: &str = "/#signed-in";

/// 303 to the board, with the same cookie that its own sign-in gives.
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
