//! `GET /reporting/all`: what was sent, the newest first, as the older services
//! give it: a bare array. Where there is more, the header `Link` says where.

use actix_web::http::header::LINK;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::auth::Caller;
use crate::http::openapi::IfNoneMatch;
use crate::http::query::{Cursor, Limit, Query};
use crate::http::{ApiError, Services, etag, message_view};
use crate::messages::{Filter, Message, MessageState, Position};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// The most of a page; 1,000 where it is left out.
    #[serde(default = "Limit::largest")]
    limit: Limit,
    /// The last id of the page before, as the header `Link` has it.
    cursor: Option<Cursor>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Report<'a> {
    /// The device, or else the topic.
    #[schema(example = "860000000000001")]
    imei: &'a str,
    /// What was sent; in base64 where it is no text.
    #[schema(example = "relay 1 on")]
    micro_op: String,
}

/// What was sent, newest first, as the older services tell it.
#[utoipa::path(
    get,
    path = "/reporting/all",
    tag = "messages",
    operation_id = "reportMessages",
    params(Parameters, IfNoneMatch),
    responses(
        (
            status = 200,
            description = "A page of them.",
            body = Vec<Report<'_>>,
            headers(("Link" = String, description = "The next page, `rel=\"next\"`, if there is one.")),
        ),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    caller: Caller,
    query: Query<Parameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Parameters { limit: Limit(limit), cursor } = query.into_inner();
    let account = message_view::only_of(&services, &caller);
    let state = Some(MessageState::Sent);
    let filter = Filter { state, account, ..Filter::default() };
    let position = Position::Before(cursor.map(|Cursor(id)| id));
    let (messages, next) = services.messages.page(&filter, position, limit).await?;
    let reports: Vec<_> = messages.iter().map(Report::of).collect();
    let mut response = etag::json(&request, &reports)?;
    if let Some(next) = next {
        let link = format!("</reporting/all?limit={limit}&cursor={next}>; rel=\"next\"");
        let link = link.parse().map_err(|error| ApiError::Internal(anyhow::Error::new(error)))?;
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

impl<'a> Report<'a> {
    fn of(message: &'a Message) -> Self {
        let text = message.text().map(str::to_owned);
        Self {
            imei: message.device.as_deref().unwrap_or(&message.topic),
            micro_op: text.unwrap_or_else(|| STANDARD.encode(&message.payload)),
        }
    }
}
