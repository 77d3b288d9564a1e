//! From a message that is to be sent to what is answered: 201 when the broker
//! has taken it, 202 where it waits, 406 where the broker did not take it.

use std::time::Duration;

use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiError, Services};
use crate::events::{Event, Kind};
use crate::identity::Principal;
use crate::messages::{
    Draft, Ending, InvalidDraft, MessageError, MessageId, MessageState, NewMessage, NotAccepted,
    Sending,
};

/// How long the answer to a message that may wait does so itself, where the
/// broker is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is told of a message that was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MessageAnswer {
    #[serde(skip)]
    #[schema(ignore)]
    pub(super) status: StatusCode,
    /// Its id, which it has with it as the user property `message-id`.
    id: MessageId,
    /// `sent`, or `waiting`.
    #[schema(example = "sent")]
    state: MessageState,
    /// Where it goes.
    #[schema(example = "messages/garden")]
    topic: String,
    /// What was done, as a sentence.
    #[schema(example = "Send `water the roses` to topic `messages/garden`")]
    detail: String,
    /// Where to ask what became of it.
    #[schema(example = "/api/v1/messages/19ab3f0c6d2a41c7")]
    link: String,
}

/// A message that can be sent; who may not send it, is on record.
pub(super) fn check(
    services: &Services,
    principal: &Principal,
    action: &str,
    new: NewMessage,
) -> Result<Draft, ApiError> {
    services.messages.check(new).map_err(|error| {
        if !matches!(error, InvalidDraft::Unfit(_)) {
            let event = Event::of(Kind::Refusal, principal, action);
            services.events.refused(event.refused(&error.to_string()));
        }
        error.into()
    })
}

/// What became of a message.
pub(super) async fn of(
    draft: Draft,
    accepted: Result<Sending, NotAccepted>,
) -> Result<MessageAnswer, ApiError> {
    let sending = accepted?;
    let id = sending.id;
    let (payload, topic) = (shown(&draft), draft.topic());
    let (status, state, detail) = match sending.outcome(PATIENCE).await {
        Some(Ending::Sent) => {
            let detail = format!("Send `{payload}` to topic `{topic}`");
            (StatusCode::CREATED, MessageState::Sent, detail)
        }
        None => {
            let detail = format!("`{payload}` waits to be sent to topic `{topic}`");
            (StatusCode::ACCEPTED, MessageState::Waiting, detail)
        }
        Some(Ending::Failed(why)) => return Err(ApiError::NotSent(id, why)),
        Some(Ending::Expired(why)) => return Err(ApiError::NotSent(id, why.to_owned())),
        Some(Ending::Refused(why)) => return Err(ApiError::NotAllowed(why)),
    };
    let (topic, link) = (topic.to_owned(), format!("/api/v1/messages/{id}"));
    Ok(MessageAnswer { status, id, state, topic, detail, link })
}

/// The payload as the sentence has it: base64 where it is no text.
fn shown(draft: &Draft) -> String {
    use base64::Engine as _;
    let text = std::str::from_utf8(draft.payload()).map(str::to_owned);
    text.unwrap_or_else(|_| base64::engine::general_purpose::STANDARD.encode(draft.payload()))
}

impl From<MessageError> for ApiError {
    fn from(error: MessageError) -> Self {
        tracing::error!(%error, "the database did not answer");
        Self::Unavailable("the record of messages does not answer".to_owned())
    }
}

impl From<InvalidDraft> for ApiError {
    fn from(error: InvalidDraft) -> Self {
        match error {
            InvalidDraft::Unfit(_) => Self::Invalid(error.to_string()),
            InvalidDraft::NotAllowed(_) | InvalidDraft::Reserved(_) => {
                Self::NotAllowed(error.to_string())
            }
        }
    }
}

impl From<NotAccepted> for ApiError {
    fn from(error: NotAccepted) -> Self {
        match error {
            NotAccepted::Full => Self::Busy(error.to_string()),
            NotAccepted::Closing => Self::Unavailable(error.to_string()),
            NotAccepted::NotSaved(error) => error.into(),
            NotAccepted::InDoubt(id) => Self::Unavailable(format!(
                "the record of messages does not answer: it is not sent, unless the server ends \
                 before it can say so there; later, /api/v1/messages/{id} tells"
            )),
        }
    }
}
