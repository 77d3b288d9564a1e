//! `POST /messaging/send`: publishes a message to a topic of the gateway's.

pub(in crate::http) mod batch;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::http::auth::Caller;
use crate::http::message_answer::{self, MessageAnswer};
use crate::http::message_body::MessageBody;
use crate::http::once::{self, Asked, Outcome};
use crate::http::openapi::IdempotencyKey;
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, body};

const ROUTE: &str = "POST /messaging/send";

/// What a request may have around a payload, which JSON or base64 make longer.
const AROUND: usize = 64 * 1024;

/// Publishes a message to a topic of the gateway's.
#[utoipa::path(
    post,
    path = "/messaging/send",
    tag = "messages",
    operation_id = "sendMessage",
    params(IdempotencyKey),
    request_body(content = MessageBody),
    responses(
        (status = 201, description = "The broker has taken it.", body = MessageAnswer),
        (
            status = 202,
            description = "It waits for the broker, as `queue` lets it.",
            body = MessageAnswer,
        ),
        (status = 406, description = "The broker did not take it, and `detail` says why."),
        (
            status = 409,
            description = "A request with the same Idempotency-Key is being worked on, or was \
                interrupted.",
        ),
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    caller: Caller,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    body::expect_json(&request)?;
    let max = 2 * services.message_settings.max_bytes + AROUND;
    let patience = services.settings.request_timeout();
    let bytes = body::read(&request, payload, max, patience).await?;
    let new = body::parse_json::<MessageBody>(&bytes)?.into_message()?;
    let draft = message_answer::check(&services, &caller.0, ROUTE, new)?;
    let (own, principal) = (services.clone(), caller.0.clone());
    let work = async move {
        let mut accepted = own.messages.send(vec![draft.clone()], &principal).await;
        let accepted = accepted.pop().ok_or_else(|| internal("one message has one result"))?;
        let answer = message_answer::of(draft, accepted).await?;
        let text = serde_json::to_string(&answer);
        let text = text.map_err(|error| ApiError::Internal(error.into()))?;
        Ok(Outcome::new(answer.status, text))
    };
    let asked = Asked { route: ROUTE, fingerprint: bytes.to_vec() };
    let outcome = once::perform(&request, &services, &caller.0, asked, false, work).await?;
    Ok(outcome.into_response())
}

fn internal(what: &'static str) -> ApiError {
    ApiError::Internal(anyhow::anyhow!(what))
}
