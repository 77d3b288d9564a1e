//! Why somebody is not let in, as RFC 6749 (5.2) says it.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::ApiError;
use crate::identity::SignInError;
use crate::telemetry::one_line;

/// An error of the token endpoint.
#[derive(Debug)]
pub(super) struct OauthError {
    code: &'static str,
    description: String,
    status: StatusCode,
    /// After how many seconds to try again.
    retry_after: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OauthProblem)]
pub(super) struct Body<'a> {
    /// The word of RFC 6749 for it.
    #[schema(example = "invalid_grant")]
    error: &'a str,
    /// What is wrong, for people.
    #[schema(example = "the name or the password is wrong")]
    error_description: &'a str,
}

impl OauthError {
    /// The request is not as it should be.
    pub(super) fn request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    pub(super) fn new(code: &'static str, description: impl Into<String>) -> Self {
        let status = StatusCode::BAD_REQUEST;
        Self { code, description: description.into(), status, retry_after: None }
    }

    /// A program that shows a secret which is not its own.
    pub(super) fn client() -> Self {
        let description = "the name or the secret of the API key is wrong";
        Self { status: StatusCode::UNAUTHORIZED, ..Self::new("invalid_client", description) }
    }

    fn later(status: StatusCode, description: String, wait: Duration) -> Self {
        let retry_after = Some(wait.as_secs() + 1);
        Self { status, retry_after, ..Self::new("temporarily_unavailable", description) }
    }

    /// What is wrong, for people.
    pub(super) fn description(&self) -> &str {
        &self.description
    }

    /// As it is answered.
    pub(super) fn to_response(&self) -> HttpResponse {
        let mut response = not_stored(self.status);
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, r#"Basic realm="latchlight""#));
        }
        response.json(Body { error: self.code, error_description: &self.description })
    }
}

/// What no cache may keep (RFC 6749, 5.1).
pub(super) fn not_stored(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response.insert_header((header::PRAGMA, "no-cache"));
    response
}

impl From<SignInError> for OauthError {
    fn from(error: SignInError) -> Self {
        let said = error.to_string();
        match error {
            SignInError::Wrong | SignInError::Void => Self::new("invalid_grant", said),
            SignInError::Scope => Self::new("invalid_scope", said),
            SignInError::TooSoon(wait) => Self::later(StatusCode::TOO_MANY_REQUESTS, said, wait),
            SignInError::Busy => {
                Self::later(StatusCode::SERVICE_UNAVAILABLE, said, Duration::from_secs(1))
            }
            SignInError::Failed(error) => {
                tracing::error!(error = one_line(&error), "nobody can be let in");
                let said = "the server's log has more".to_owned();
                Self::later(StatusCode::SERVICE_UNAVAILABLE, said, Duration::from_secs(1))
            }
        }
    }
}

impl From<ApiError> for OauthError {
    fn from(error: ApiError) -> Self {
        Self::request(error.to_string())
    }
}
