//! `GET /hello`: is it up, and what is it.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse};

use crate::http::accept;

const PLAIN: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"), "\n");

const JSON: &str = concat!(
    r#"{"name":""#,
    env!("CARGO_PKG_NAME"),
    r#"","version":""#,
    env!("CARGO_PKG_VERSION"),
    "\"}\n"
);

/// JSON, or a line of text for who asks for `text/plain`.
pub(in crate::http) async fn get(request: HttpRequest) -> HttpResponse {
    let (media_type, body) = if accept::names(&request, "text/plain") {
        ("text/plain; charset=utf-8", PLAIN)
    } else {
        ("application/json", JSON)
    };
    HttpResponse::Ok().insert_header((CONTENT_TYPE, media_type)).body(body)
}
