//! Errors as problem details (RFC 9457): the one page that says which error
//! is which answer.
//!
//! | what went wrong | variant | status |
//! | --- | --- | --- |
//! | the query, a header or the JSON cannot be read | `Malformed` | 400 |
//! | nobody is let in by what the request shows | `Unknown` | 401 |
//! | `Host` or `Origin` is not ours | `Foreign` | 403 |
//! | the caller lacks the scope | `Scope` | 403 |
//! | the caller may not | `NotAllowed` | 403 |
//! | a code is wrong, or good for nothing here and now | `CodeRefused` | 403 |
//! | no such route | `NoRoute` | 404 |
//! | no such device, command, picture | `NotFound` | 404 |
//! | the route is there for other methods | `WrongMethod` | 405 |
//! | the broker did not take the message | `NotSent` | 406 |
//! | the body did not come in time | `TooSlow` | 408 |
//! | the same request is being worked on, or was interrupted | `InProgress`, `Interrupted` | 409 |
//! | what is there already is in the way | `Conflict` | 409 |
//! | the body is longer than is taken | `TooLarge` | 413 |
//! | a body of another type | `WrongType` | 415 |
//! | the client wants bytes of an answer that it has not | `NoSuchPart` | 416 |
//! | well-formed, and wrong all the same | `Invalid` | 422 |
//! | an Idempotency-Key that stands for another request | `KeyReused` | 422 |
//! | somebody tries too often | `TooSoon` | 429 |
//! | somebody asks for more than there is in a minute | `TooFast` | 429 |
//! | somebody has too much at once | `TooMany` | 429 |
//! | our fault | `Internal` | 500 |
//! | link, disk or database is away, or the server stops | `Unavailable` | 503 |
//! | too much at once | `Busy` | 503 |
//! | `/readyz`: not ready | `NotReady` | 503 |
//!
//! What actix itself refuses (a request that is no HTTP, a head that is too
//! long or too slow) is answered before it gets here, by status alone.

mod from;

use std::fmt;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::range;
use crate::identity::Scopes;
use crate::messages::MessageId;
use crate::telemetry::one_line;

/// An answer that is no success.
#[derive(Debug)]
pub enum ApiError {
    /// The query, a header or the JSON cannot be read.
    Malformed(String),
    /// Nobody is let in by what the request shows, if it shows anything.
    Unknown(Option<&'static str>),
    /// The caller lacks the scope; one of these is enough.
    Scope(String, Scopes),
    /// The request came through a foreign page or under a foreign name.
    Foreign(String),
    /// The caller may not.
    NotAllowed(String),
    /// A code is wrong, or good for nothing here and now; which, is not said.
    CodeRefused,
    /// No such route.
    NoRoute(String),
    /// No such device, command or picture.
    NotFound(String),
    /// The route is there for these methods only.
    WrongMethod(String),
    /// The broker did not take the message with this id, and why.
    NotSent(MessageId, String),
    /// The body did not come in time.
    TooSlow,
    /// The same request, by its Idempotency-Key, is being worked on.
    InProgress,
    /// The same request, by its Idempotency-Key, did not come to its end.
    Interrupted,
    /// What is there already is in the way.
    Conflict(String),
    /// The body has more bytes than these.
    TooLarge(usize),
    /// A body of another type than the route takes.
    WrongType(String),
    /// The answer has so many bytes, and the client wants others.
    NoSuchPart(u64),
    /// Well-formed, and wrong all the same.
    Invalid(String),
    /// The Idempotency-Key stands for another request.
    KeyReused,
    /// Somebody tries too often: not before so long.
    TooSoon(Duration),
    /// Somebody asks for more of this than there is in a minute: not before so
    /// many seconds.
    TooFast(String, u64),
    /// Somebody has too much of this at once.
    TooMany(String),
    /// Our fault; what it was goes to the log and not to the client.
    Internal(anyhow::Error),
    /// Link, disk or database is away, or the server stops.
    Unavailable(String),
    /// Too much at once.
    Busy(String),
    /// What of the server is ready and what is not.
    NotReady(Map<String, Value>),
}

/// The members of a problem (RFC 9457, section 3.1), and the request's id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem<'a> {
    /// `urn:latchlight:problem:` and which one it is; it never changes.
    #[serde(rename = "type")]
    #[schema(example = "urn:latchlight:problem:not-found")]
    kind: String,
    /// Which one it is, for people.
    #[schema(example = "Not found")]
    title: &'a str,
    /// The status of the answer.
    #[schema(example = 404)]
    status: u16,
    /// What is wrong with this very request, and what is to be done.
    #[schema(example = "there is no device front-door")]
    detail: String,
    /// The path that was asked for.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(example = "/api/v1/devices/front-door")]
    instance: &'a str,
    /// The request's id, by which the server's log has it; as `X-Request-Id`.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(example = "01a1fd77-9f3c-7c1e-8a55-3d0f6b1c2e4a")]
    request_id: &'a str,
    #[serde(flatten)]
    #[schema(ignore)]
    more: Option<Map<String, Value>>,
}

impl ApiError {
    /// The last part of the problem's type, its status, and its title.
    fn describe(&self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::Malformed(_) => {
                ("malformed", StatusCode::BAD_REQUEST, "The request cannot be read")
            }
            Self::Unknown(_) => {
                ("unknown-caller", StatusCode::UNAUTHORIZED, "The server does not know who asks")
            }
            Self::Scope(..) => {
                ("insufficient-scope", StatusCode::FORBIDDEN, "Not allowed with this scope")
            }
            Self::Foreign(_) => {
                ("foreign", StatusCode::FORBIDDEN, "The request comes from elsewhere")
            }
            Self::NotAllowed(_) => ("not-allowed", StatusCode::FORBIDDEN, "Not allowed"),
            Self::CodeRefused => ("code-refused", StatusCode::FORBIDDEN, "No"),
            Self::NoRoute(_) => ("no-route", StatusCode::NOT_FOUND, "There is no such route"),
            Self::NotFound(_) => ("not-found", StatusCode::NOT_FOUND, "Not found"),
            Self::WrongMethod(_) => {
                ("wrong-method", StatusCode::METHOD_NOT_ALLOWED, "The route takes another method")
            }
            // As the older services say it.
            Self::NotSent(..) => ("not-sent", StatusCode::NOT_ACCEPTABLE, "Something went wrong"),
            Self::TooSlow => {
                ("too-slow", StatusCode::REQUEST_TIMEOUT, "The body did not come in time")
            }
            Self::InProgress => {
                ("in-progress", StatusCode::CONFLICT, "The same request is being worked on")
            }
            Self::Interrupted => {
                ("interrupted", StatusCode::CONFLICT, "The same request was interrupted")
            }
            Self::Conflict(_) => ("conflict", StatusCode::CONFLICT, "Something is in the way"),
            Self::TooLarge(_) => {
                ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large")
            }
            Self::WrongType(_) => (
                "wrong-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body is of a type that is not taken",
            ),
            Self::NoSuchPart(_) => {
                ("no-such-part", StatusCode::RANGE_NOT_SATISFIABLE, "The answer has no such part")
            }
            Self::Invalid(_) => {
                ("invalid", StatusCode::UNPROCESSABLE_ENTITY, "The request is not valid")
            }
            Self::KeyReused => (
                "key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The Idempotency-Key stands for another request",
            ),
            Self::TooSoon(_) => ("too-soon", StatusCode::TOO_MANY_REQUESTS, "Too many attempts"),
            Self::TooFast(..) => ("too-fast", StatusCode::TOO_MANY_REQUESTS, "Too fast"),
            Self::TooMany(_) => ("too-many", StatusCode::TOO_MANY_REQUESTS, "Too many at once"),
            Self::Internal(_) => {
                ("internal", StatusCode::INTERNAL_SERVER_ERROR, "An error inside the server")
            }
            Self::Unavailable(_) => {
                ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "The server cannot do it now")
            }
            Self::Busy(_) => ("busy", StatusCode::SERVICE_UNAVAILABLE, "The server is busy"),
            Self::NotReady(_) => {
                ("not-ready", StatusCode::SERVICE_UNAVAILABLE, "The server is not ready")
            }
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Malformed(detail)
            | Self::Foreign(detail)
            | Self::NotAllowed(detail)
            | Self::Scope(detail, _)
            | Self::NoRoute(detail)
            | Self::NotFound(detail)
            | Self::Conflict(detail)
            | Self::WrongType(detail)
            | Self::Invalid(detail)
            | Self::TooFast(detail, _)
            | Self::TooMany(detail)
            | Self::Unavailable(detail)
            | Self::NotSent(_, detail)
            | Self::Busy(detail) => detail.clone(),
            Self::Unknown(None) => "show an access token or an API key: \
                `Authorization: Bearer …`; `POST /oauth/token` gives one for name and password"
                .to_owned(),
            Self::Unknown(Some(why)) => (*why).to_owned(),
            Self::CodeRefused => "the code is wrong, or good for nothing here and now".to_owned(),
            Self::WrongMethod(allow) => format!("it takes {allow}"),
            Self::TooSlow => "send the whole body faster, or send less".to_owned(),
            Self::InProgress => {
                "the request with this Idempotency-Key has not been answered yet: ask again soon"
                    .to_owned()
            }
            Self::Interrupted => "the request with this Idempotency-Key did not come to its end: \
                the devices' commands tell what came of it; it is not done again"
                .to_owned(),
            Self::TooLarge(max) => format!("at most {max} bytes are taken"),
            Self::NoSuchPart(length) => format!("it has {length} bytes"),
            Self::KeyReused => "it came before with another request: use a new key".to_owned(),
            Self::TooSoon(wait) => format!("try again in {} s", wait.as_secs() + 1),
            Self::Internal(_) => "the server's log has it under the request id".to_owned(),
            Self::NotReady(checks) => {
                let down = checks.iter().filter(|(_, check)| *check != "ok");
                down.map(|(part, check)| format!("{part}: {}", check.as_str().unwrap_or("down")))
                    .collect::<Vec<_>>()
                    .join("; ")
            }
        }
    }

    /// How to be let in (RFC 6750, 3).
    fn challenge(&self) -> String {
        let realm = r#"Bearer realm="latchlight""#;
        match self {
            Self::Unknown(Some(why)) => {
                format!(r#"{realm}, error="invalid_token", error_description="{why}""#)
            }
            Self::Scope(_, scopes) => {
                format!(r#"{realm}, error="insufficient_scope", scope="{scopes}""#)
            }
            _ => realm.to_owned(),
        }
    }

    /// The problem, by itself: within an answer to several wishes.
    pub(super) fn to_item(&self) -> Value {
        serde_json::to_value(self.problem("", "")).unwrap_or_default()
    }

    /// What the client reads who asked for this path, with this id.
    pub(super) fn problem<'a>(&'a self, instance: &'a str, request_id: &'a str) -> Problem<'a> {
        let (kind, status, title) = self.describe();
        let more = match self {
            Self::NotReady(checks) => Some(checks.clone()),
            Self::NotSent(id, _) => {
                Some(Map::from_iter([("id".to_owned(), id.to_string().into())]))
            }
            _ => None,
        };
        Problem {
            kind: format!("urn:latchlight:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: self.detail(),
            instance,
            request_id,
            more,
        }
    }

    /// The answer to the request for this path, with this id.
    pub(super) fn response_to(&self, instance: &str, request_id: &str) -> HttpResponse {
        if let Self::Internal(error) = self {
            tracing::error!(error = one_line(error), "request failed");
        }
        let problem = self.problem(instance, request_id);
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::WrongMethod(allow) => {
                response.insert_header((header::ALLOW, allow.as_str()));
            }
            Self::Unknown(_) | Self::Scope(..) => {
                response.insert_header((header::WWW_AUTHENTICATE, self.challenge()));
            }
            Self::NoSuchPart(length) => {
                response.insert_header(range::content_range(None, *length));
            }
            Self::TooSoon(wait) => {
                response.insert_header((header::RETRY_AFTER, wait.as_secs() + 1));
            }
            Self::TooFast(_, seconds) => {
                response.insert_header((header::RETRY_AFTER, *seconds));
            }
            Self::InProgress | Self::TooMany(_) | Self::Busy(_) => {
                response.insert_header((header::RETRY_AFTER, "1"));
            }
            _ => {}
        }
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        response.body(serde_json::to_vec(&problem).unwrap_or_default())
    }

    /// What one of actix's own errors is among ours.
    pub(super) fn of_framework(error: &actix_web::Error) -> Self {
        match error.as_response_error().status_code() {
            StatusCode::NOT_FOUND => Self::NotFound(error.to_string()),
            StatusCode::PAYLOAD_TOO_LARGE => Self::Malformed("the body is too large".to_owned()),
            status if status.is_client_error() => Self::Malformed(error.to_string()),
            _ => Self::Internal(anyhow::anyhow!("{error}")),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail())
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.describe().1
    }

    /// The envelope makes the real answer, which names the request.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
