//! What a person reads who is not let in through the provider.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};

use super::super::error::not_stored;
use crate::identity::SignInError;
use crate::identity::oidc::ProviderError;
use crate::telemetry::one_line;

/// The page, which has no word of a stranger's on it; the log has more.
pub(super) fn refused(error: &ProviderError) -> HttpResponse {
    match error {
        ProviderError::SignIn(SignInError::Failed(error)) => {
            tracing::error!(error = one_line(error), "nobody can be let in");
        }
        error => tracing::warn!(why = %error, "sign-in refused"),
    }
    let (status, why) = describe(error);
    let mut response = not_stored(status);
    if let ProviderError::TooSoon(wait) = error {
        response.insert_header((header::RETRY_AFTER, wait.as_secs() + 1));
    }
    response.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
    response.body(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n  <meta charset=\"utf-8\">\n  \
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n  \
         <meta name=\"color-scheme\" content=\"light dark\">\n  <title>Not signed in</title>\n  \
         <link rel=\"stylesheet\" href=\"/board.css\">\n</head>\n<body>\n  \
         <main class=\"sign-in\">\n    <h2>Not signed in</h2>\n    \
         <p class=\"notice\" role=\"alert\">{why}</p>\n    \
         <p><a href=\"/\">Back to the board</a></p>\n  </main>\n</body>\n</html>\n"
    ))
}

fn describe(error: &ProviderError) -> (StatusCode, &'static str) {
    match error {
        ProviderError::Stale => (
            StatusCode::BAD_REQUEST,
            "This sign-in was not begun in this browser, or too long ago, or it is over already. \
             Begin anew.",
        ),
        ProviderError::Denied(_) => {
            (StatusCode::FORBIDDEN, "The provider did not let you in, or you did not want it to.")
        }
        ProviderError::Stranger(_) => (
            StatusCode::FORBIDDEN,
            "The provider knows you, and this house does not: no account here is yours, or it is \
             closed. Whoever owns the house can make one for you; the record of events has the \
             name by which the provider calls you.",
        ),
        ProviderError::Odd(_) => (
            StatusCode::BAD_GATEWAY,
            "What the provider said of you could not be believed. The server's log says why.",
        ),
        ProviderError::Away(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The provider gives no answer. Whoever has a password can sign in by it.",
        ),
        ProviderError::TooSoon(_) => {
            (StatusCode::TOO_MANY_REQUESTS, "Too many attempts. Wait a little, then begin anew.")
        }
        ProviderError::Busy | ProviderError::SignIn(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The server cannot let anybody in just now. Begin anew in a moment.",
        ),
    }
}
