//! `GET /hello`: is it up, and what is it.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse};
use utoipa::ToSchema;

use crate::http::accept;

const PLAIN: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"), "\n");

const JSON: &str = concat!(
    r#"{"name":""#,
    env!("CARGO_PKG_NAME"),
    r#"","version":""#,
    env!("CARGO_PKG_VERSION"),
    "\"}\n"
);

/// Who answers.
#[derive(ToSchema)]
#[allow(dead_code)] // Reason: the answer is a constant; this describes it.
struct Hello {
    /// `latchlight`.
    #[schema(example = "latchlight")]
    name: &'static str,
    /// The server's version.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// Whether the server is up, and which it is.
///
/// JSON, or a line of text for `Accept: text/plain`.
#[utoipa::path(
    get,
    path = "/hello",
    tag = "server",
    operation_id = "hello",
    responses(
        (status = 200, description = "It is up.", content(
            (Hello = "application/json"),
            (String = "text/plain", example = "latchlight 0.1.0"),
        )),
    ),
)]
pub(in crate::http) async fn get(request: HttpRequest) -> HttpResponse {
    let (media_type, body) = if accept::names(&request, "text/plain") {
        ("text/plain; charset=utf-8", PLAIN)
    } else {
        ("application/json", JSON)
    };
    HttpResponse::Ok().insert_header((CONTENT_TYPE, media_type)).body(body)
}
