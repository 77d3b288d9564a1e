//! `GET /metrics`: what the embedded broker counts, for Prometheus.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, Data};
use latchlight_broker::Metrics;

use crate::http::{ApiError, Services};

/// The metrics in Prometheus' text format; 404 where the broker is an outside
/// one, which has its own.
pub(in crate::http) async fn get(services: Data<Services>) -> Result<HttpResponse, ApiError> {
    let Some(metrics) = services.handle.metrics() else {
        return Err(ApiError::NotFound("an outside broker is used, ask that one".to_owned()));
    };
    // Every session is looked at; no other request is to wait for that.
    let text = web::block(move || metrics.text()).await;
    let text = text.map_err(|error| ApiError::Internal(error.into()))?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, Metrics::CONTENT_TYPE)).body(text))
}
