//! `GET /healthz`: the process is alive.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;

/// Always the same, as long as anything answers.
pub(in crate::http) async fn get() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(r#"{"status":"ok"}"#)
}
