//! The answers that routes have in common: errors as problem details, and 304.

use std::time::Duration;

use actix_web::ResponseError as _;
use actix_web::http::Method;
use serde_json::{Value, json};

use crate::http::{ApiError, Needs, RouteInfo};
use crate::identity::Scopes;
use crate::messages::MessageId;

const PROBLEM: &str = "application/problem+json";

/// An error of each status, with the name that it has among the answers and
/// what it means.
fn errors() -> [(&'static str, &'static str, ApiError); 15] {
    let said = |what: &str| what.to_owned();
    [
        (
            "Malformed",
            "The query, a header or the body cannot be read.",
            ApiError::Malformed(said("query: unknown field `devise`, expected `device`")),
        ),
        (
            "Unknown",
            "Nobody is let in by what the request shows, if it shows anything.",
            ApiError::Unknown(None),
        ),
        (
            "NotAllowed",
            "The caller lacks the scope or may not, or the request came through a foreign page.",
            ApiError::Scope(said("the token is not good for `admin`"), Scopes::default()),
        ),
        (
            "NotFound",
            "There is none, or it is not for the caller to see.",
            ApiError::NotFound(said("there is no device front-door")),
        ),
        (
            "WrongMethod",
            "The settings do not offer this method.",
            ApiError::WrongMethod(said("POST")),
        ),
        (
            "NotSent",
            "The broker did not take the message.",
            ApiError::NotSent(example_id(), said("the broker cannot be reached")),
        ),
        ("TooSlow", "The body did not come in time.", ApiError::TooSlow),
        (
            "Conflict",
            "What is there already is in the way.",
            ApiError::Conflict(said("the name ann is taken")),
        ),
        ("TooLarge", "The body has more bytes than are taken.", ApiError::TooLarge(65_536)),
        (
            "WrongType",
            "The body is of a type that the route does not take.",
            ApiError::WrongType(said("Content-Type must be application/json, and is `text/html`")),
        ),
        (
            "NoSuchPart",
            "The bytes that were asked for are not there.",
            ApiError::NoSuchPart(183_412),
        ),
        (
            "Invalid",
            "Well-formed, and wrong all the same.",
            ApiError::Invalid(said("unknown field `colour`")),
        ),
        (
            "TooSoon",
            "Too many attempts, or too many commands: `Retry-After` says in how many seconds there may be another.",
            ApiError::TooSoon(Duration::from_secs(29)),
        ),
        (
            "Internal",
            "An error inside the server.",
            ApiError::Internal(anyhow::anyhow!("it broke")),
        ),
        (
            "Unavailable",
            "The broker, the disk or the database is away, or there is too much at once.",
            ApiError::Unavailable(said("the record of commands does not answer")),
        ),
    ]
}

fn example_id() -> MessageId {
    "19ab3f0c6d2a41c7".parse().expect("it is written as an id is")
}

/// The errors, for operations to refer to.
pub(super) fn shared() -> Value {
    let errors = errors().into_iter().map(|(name, description, error)| {
        let example = error.problem("/api/v1/devices", "01a1fd77-9f3c-7c1e-8a55-3d0f6b1c2e4a");
        let content = json!({
            "schema": { "$ref": "#/components/schemas/Problem" },
            "example": serde_json::to_value(example).unwrap_or_default(),
        });
        let mut answer = json!({ "description": description, "content": { PROBLEM: content } });
        if let Some((header, description)) = header_of(&error) {
            let schema = json!({ "type": "string" });
            answer["headers"][header] = json!({ "description": description, "schema": schema });
        }
        (name.to_owned(), answer)
    });
    Value::Object(errors.collect())
}

fn header_of(error: &ApiError) -> Option<(&'static str, &'static str)> {
    match error {
        ApiError::Unknown(_) => Some(("WWW-Authenticate", "How to be let in (RFC 6750).")),
        ApiError::WrongMethod(_) => Some(("Allow", "The methods that there are.")),
        ApiError::TooSoon(_) => Some(("Retry-After", "In so many seconds.")),
        _ => None,
    }
}

/// Adds the answers that an operation has because of what it is, and gives
/// those of its own that are errors without a body the problem's.
pub(super) fn add(operation: &mut Value, route: &RouteInfo) {
    let mut statuses = vec![403];
    // OAuth has errors of its own, in its own words.
    let is_oauth = operation["responses"].get("400").is_some();
    if route.needs != Needs::Nothing {
        statuses.extend([400, 401, 500, 503]);
    }
    if operation.get("parameters").is_some() {
        statuses.push(400);
    }
    if route.path.contains('{') {
        statuses.push(404);
    }
    if [Method::POST, Method::PUT, Method::PATCH].contains(&route.method) && !is_oauth {
        statuses.extend([400, 408, 413, 422]);
    }
    if operation.get("requestBody").is_some() && !is_oauth {
        statuses.push(415);
    }
    for status in statuses {
        let answers = &mut operation["responses"];
        if answers.get(status.to_string()).is_none() {
            answers[status.to_string()] = shared_answer(status);
        }
    }
    if let Some(answers) = operation["responses"].as_object_mut() {
        for (status, answer) in answers {
            let is_error = status.starts_with(['4', '5']);
            if is_error && answer.get("content").is_none() && answer.get("$ref").is_none() {
                let status = status.parse().unwrap_or_default();
                answer["content"] = shared()[name_of(status)]["content"].clone();
            }
        }
    }
    add_etag(operation);
    add_range(operation);
}

fn name_of(status: u16) -> &'static str {
    let errors = errors().into_iter();
    let mut named = errors.filter(|(.., error)| error.status_code() == status);
    named.next().map_or("Internal", |(name, ..)| name)
}

fn shared_answer(status: u16) -> Value {
    json!({ "$ref": format!("#/components/responses/{}", name_of(status)) })
}

/// Whether an operation has a parameter of this name.
fn takes(operation: &Value, name: &str) -> bool {
    let parameters = operation["parameters"].as_array();
    parameters.is_some_and(|all| all.iter().any(|one| one["name"] == name))
}

/// Whoever may ask for a part, gets it, or hears that there is none.
fn add_range(operation: &mut Value) {
    if !takes(operation, "Range") {
        return;
    }
    let which = json!({ "description": "Which bytes.", "schema": { "type": "string" } });
    let answers = &mut operation["responses"];
    answers["200"]["headers"]["Accept-Ranges"] =
        json!({ "description": "`bytes`.", "schema": { "type": "string" } });
    answers["206"] = json!({
        "description": "The bytes that were asked for.",
        "headers": { "Content-Range": which },
        "content": answers["200"]["content"],
    });
    answers["416"] = shared_answer(416);
}

/// Whoever may say what they have, gets a tag, and nothing where it is the
/// same.
fn add_etag(operation: &mut Value) {
    if !takes(operation, "If-None-Match") {
        return;
    }
    let tag = json!({
        "description": "What to show as `If-None-Match`.",
        "schema": { "type": "string" },
    });
    let answers = &mut operation["responses"];
    answers["200"]["headers"]["ETag"] = tag.clone();
    answers["304"] = json!({
        "description": "The client has the same already.",
        "headers": { "ETag": tag },
    });
}
