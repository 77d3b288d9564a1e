//! `GET /healthz`: the process is alive.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use utoipa::ToSchema;

/// That it is alive.
#[derive(ToSchema)]
#[allow(dead_code)] // Reason: the answer is a constant; this describes it.
struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the process is alive: always the same, as long as anything answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "server",
    operation_id = "getHealth",
    responses(
        (status = 200, description = "It is alive.", body = Health),
    ),
)]
pub(in crate::http) async fn get() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(r#"{"status":"ok"}"#)
}
