//! What is done once for an Idempotency-Key, and answered alike when the key
//! comes again.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use tracing::Instrument as _;

use super::{ApiError, Services, command_view};
use crate::commands::{Begin, Ticket};
use crate::identity::Principal;

/// The longest Idempotency-Key.
const LONGEST_KEY: usize = 255;

/// What a key stands for.
#[derive(Debug)]
pub(super) struct Asked {
    /// Method and pattern of the route; a key counts for it only.
    pub(super) route: &'static str,
    /// What must be the same when a key comes again.
    pub(super) fingerprint: Vec<u8>,
}

/// An answer, as it is sent and kept.
pub(super) struct Outcome {
    status: StatusCode,
    body: String,
    replayed: bool,
}

/// Does something, once per Idempotency-Key where the request has one.
/// `may_half_fail`: an error does not say that nothing was done.
pub(super) async fn perform(
    request: &HttpRequest,
    services: &Data<Services>,
    principal: &Principal,
    asked: Asked,
    may_half_fail: bool,
    work: impl Future<Output = Result<Outcome, ApiError>> + Send + 'static,
) -> Result<Outcome, ApiError> {
    let key = key_of(request)?;
    let (own, principal) = (services.clone(), principal.clone());
    // A client that gives up waiting may ask again with its key: the answer
    // must be there by then, so the work goes on without it.
    let work = async move {
        match key {
            None => work.await,
            Some(key) => with_key(&own, &principal, &key, asked, may_half_fail, work).await,
        }
    };
    let done = services.runtime.spawn(work.in_current_span()).await;
    done.map_err(|error| ApiError::Internal(anyhow::Error::new(error)))?
}

fn key_of(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let mut keys = request.headers().get_all("idempotency-key");
    let Some(key) = keys.next() else { return Ok(None) };
    let key = key.to_str().unwrap_or_default();
    let fits = (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if fits && keys.next().is_none() {
        return Ok(Some(key.to_owned()));
    }
    Err(ApiError::Malformed(format!(
        "Idempotency-Key must be one key of 1 to {LONGEST_KEY} visible ASCII characters"
    )))
}

async fn with_key(
    services: &Services,
    principal: &Principal,
    key: &str,
    asked: Asked,
    may_half_fail: bool,
    work: impl Future<Output = Result<Outcome, ApiError>>,
) -> Result<Outcome, ApiError> {
    let identity = principal.key();
    let begun = services.commands.begin_once(&identity, asked.route, key, &asked.fingerprint);
    let ticket: Ticket = match begun.await? {
        Begin::New(ticket) => ticket,
        Begin::Replay { status, body } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            return Ok(Outcome { status, body, replayed: true });
        }
        Begin::BodyDiffers => return Err(ApiError::KeyReused),
        Begin::InProgress => return Err(ApiError::InProgress),
        Begin::Interrupted => return Err(ApiError::Interrupted),
    };
    let done = work.await;
    let failed = |error| matches!(error, &ApiError::Internal(_) | &ApiError::Unavailable(_));
    let may_be_half_done = may_half_fail && done.as_ref().is_err_and(failed);
    match done {
        Ok(outcome) => {
            // It was done: an answer that cannot be kept is still one.
            if let Err(error) = ticket.finish(outcome.status.as_u16(), &outcome.body).await {
                tracing::error!(%error, "keep the answer of an Idempotency-Key");
            }
            Ok(outcome)
        }
        Err(error) => {
            // Where nothing was done, the same key may try again.
            if may_be_half_done {
                ticket.interrupt().await?
            } else {
                ticket.release().await?
            }
            Err(error)
        }
    }
}

impl Outcome {
    /// A JSON answer.
    pub(super) fn new(status: StatusCode, body: String) -> Self {
        Self { status, body, replayed: false }
    }

    pub(super) fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CONTENT_TYPE, "application/json"));
        if [StatusCode::CREATED, StatusCode::ACCEPTED].contains(&self.status)
            && let Some(link) = command_view::link_to_only(&self.body)
        {
            response.insert_header((header::LOCATION, link));
        }
        if self.replayed {
            response.insert_header(("idempotency-replayed", "true"));
        }
        response.body(self.body)
    }
}
