//! `POST /messaging/send/batch`: up to 1,000 messages, in their order, each
//! with a result of its own.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::http::auth::Caller;
use crate::http::message_answer;
use crate::http::message_body::MessageBody;
use crate::http::once::{self, Asked, Outcome};
use crate::http::openapi::IdempotencyKey;
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, body};
use crate::identity::Principal;
use crate::messages::Draft;

const ROUTE: &str = "POST /messaging/send/batch";

/// The most messages of a batch.
const MOST: usize = 1000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMessages)]
struct Batch {
    /// In the order in which they are to be sent.
    #[schema(value_type = Vec<MessageBody>, min_items = 1, max_items = 1000)]
    messages: Vec<Box<RawValue>>,
}

/// What became of each.
#[derive(ToSchema)]
#[schema(as = MessageResults)]
#[allow(dead_code)] // Reason: it describes what is put together below.
struct Results {
    /// In the same order: as from `/messaging/send`, or a problem; with its
    /// `status`.
    #[schema(example = json!([
        { "status": 201, "id": "19ab3f0c6d2a41c7", "state": "sent", "topic": "messages/garden",
          "detail": "Send `water the roses` to topic `messages/garden`",
          "link": "/api/v1/messages/19ab3f0c6d2a41c7" },
        { "type": "urn:latchlight:problem:invalid", "title": "The request is not valid",
          "status": 422, "detail": "there is no topic and no imei: one of them is needed" },
    ]))]
    messages: Vec<Value>,
}

/// Publishes up to 1,000 messages.
///
/// They are sent in their order, and each has a result of its own.
#[utoipa::path(
    post,
    path = "/messaging/send/batch",
    tag = "messages",
    operation_id = "sendMessages",
    params(IdempotencyKey),
    request_body(content = Batch),
    responses(
        (status = 201, description = "The broker has taken all of them.", body = Results),
        (status = 202, description = "All of them wait for the broker.", body = Results),
        (status = 207, description = "Anything else.", body = Results),
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
    let max = services.message_settings.max_batch_bytes;
    let patience = services.settings.request_timeout();
    let bytes = body::read(&request, payload, max, patience).await?;
    let Batch { messages } = body::parse_json(&bytes)?;
    if !(1..=MOST).contains(&messages.len()) {
        let many = messages.len();
        let why = format!("messages: there are {many}, and 1 to {MOST} are taken at once");
        return Err(ApiError::Invalid(why));
    }
    let (own, principal) = (services.clone(), caller.0.clone());
    let work = async move {
        let drafts = messages.iter().map(|message| draft(&own, &principal, message)).collect();
        let results = send(&own, &principal, drafts).await;
        let status = match &results {
            results if are_all(results, StatusCode::CREATED) => StatusCode::CREATED,
            results if are_all(results, StatusCode::ACCEPTED) => StatusCode::ACCEPTED,
            _ => StatusCode::MULTI_STATUS,
        };
        let results: Vec<Value> = results.into_iter().map(|(_, result)| result).collect();
        Ok(Outcome::new(status, json!({ "messages": results }).to_string()))
    };
    let asked = Asked { route: ROUTE, fingerprint: bytes.to_vec() };
    let outcome = once::perform(&request, &services, &caller.0, asked, false, work).await?;
    Ok(outcome.into_response())
}

fn draft(services: &Services, principal: &Principal, json: &RawValue) -> Result<Draft, ApiError> {
    let new = body::parse_json::<MessageBody>(json.get().as_bytes())?.into_message()?;
    message_answer::check(services, principal, ROUTE, new)
}

/// Sends those that can be; gives the status and the result of each.
async fn send(
    services: &Services,
    principal: &Principal,
    drafts: Vec<Result<Draft, ApiError>>,
) -> Vec<(StatusCode, Value)> {
    let good = drafts.iter().filter_map(|draft| draft.as_ref().ok().cloned()).collect();
    let mut accepted = services.messages.send(good, principal).await.into_iter();
    let results = drafts.into_iter().map(|draft| {
        let accepted = draft.is_ok().then(|| accepted.next()).flatten();
        async move {
            let answer = match (draft, accepted) {
                (Ok(draft), Some(accepted)) => message_answer::of(draft, accepted).await,
                (Ok(_), None) => {
                    Err(ApiError::Internal(anyhow::anyhow!("a message without a result")))
                }
                (Err(error), _) => Err(error),
            };
            match answer {
                Ok(answer) => {
                    let mut result = serde_json::to_value(&answer).unwrap_or_default();
                    result["status"] = answer.status.as_u16().into();
                    (answer.status, result)
                }
                Err(error) => (StatusCode::MULTI_STATUS, error.to_item()),
            }
        }
    });
    join_all(results).await
}

fn are_all(results: &[(StatusCode, Value)], status: StatusCode) -> bool {
    results.iter().all(|(own, _)| *own == status)
}
