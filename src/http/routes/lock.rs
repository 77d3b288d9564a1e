//! `POST /lock`: lock all devices, or `?device=`, or those of a `?kind=`.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::commands::Verb;
use crate::http::openapi::{CommandAnswers, IdempotencyKey};
use crate::http::query::Query;
use crate::http::{ApiError, Origins, Services, body, operate};

/// Locks devices: all of them, or `device`, or those of a `kind`.
///
/// A light that is told `lock` goes off. Only devices that one may
/// operate are told; where none is meant, the answer is 200 and empty. What is
/// not known of `device` is 404. The answer waits for the devices, `wait`
/// seconds at the most.
#[utoipa::path(
    post,
    path = "/lock",
    tag = "operate",
    operation_id = "lock",
    params(operate::Target, IdempotencyKey),
    responses(CommandAnswers, (status = 404, description = "There is no such device."))
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    query: Query<operate::Target>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    body::expect_none(&request, payload, &services.settings).await?;
    let wish = query.into_inner().into_wish("POST /lock", Verb::Lock)?;
    operate::operate(&request, &services, wish).await
}

/// The same for the oldest apps, where `http.get_commands` says so.
///
/// New apps use `POST /lock`: a GET is repeated by whoever likes to.
#[utoipa::path(
    get,
    path = "/lock",
    tag = "operate",
    operation_id = "lockAsOldest",
    params(operate::Target, IdempotencyKey),
    responses(
        CommandAnswers,
        (status = 404, description = "There is no such device."),
        (status = 404, description = "There is no such device."),
        (status = 422, description = "The Idempotency-Key stands for another request."),
        (status = 405, description = "`http.get_commands` is off, as it is unless set."),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    query: Query<operate::Target>,
    services: Data<Services>,
    origins: Data<Origins>,
) -> Result<HttpResponse, ApiError> {
    if !services.settings.get_commands {
        return Err(ApiError::WrongMethod("POST".to_owned()));
    }
    // It changes something, although it is a GET.
    origins.check_origin(request.headers())?;
    let wish = query.into_inner().into_wish("GET /lock", Verb::Lock)?;
    operate::operate(&request, &services, wish).await
}
