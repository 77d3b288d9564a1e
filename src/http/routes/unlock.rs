//! `POST /unlock`: unlock all devices, or `?device=`, or those of a `?kind=`.

use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};

use crate::commands::Verb;
use crate::http::{ApiError, Origins, Services, body, operate};

/// Waits for the devices up to `?wait=` seconds.
pub(in crate::http) async fn post(
    request: HttpRequest,
    query: Query<operate::Target>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    body::expect_none(&request, payload, &services.settings).await?;
    let wish = query.into_inner().into_wish("POST /unlock", Verb::Unlock)?;
    operate::operate(&request, &services, wish).await
}

/// The same for the oldest apps, where `http.get_commands` says so.
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
    let wish = query.into_inner().into_wish("GET /unlock", Verb::Unlock)?;
    operate::operate(&request, &services, wish).await
}
