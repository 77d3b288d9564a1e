//! `/api/v1/messages`: what was sent through the gateway; and
//! `/api/v1/messages/{id}`.

pub(in crate::http) mod export;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::auth::Caller;
use crate::http::message_view::{self, MessageView};
use crate::http::openapi::IfNoneMatch;
use crate::http::query::{Cursor, Limit, Moment, NoQuery, Query, TopicQuery};
use crate::http::{ApiError, Services, etag};
use crate::messages::{Direction, Filter, MessageId, MessageState, Position};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// On this topic, or on those of a filter with wildcards.
    topic: Option<TopicQuery>,
    /// About this device.
    #[param(example = "860000000000001")]
    device: Option<String>,
    /// Which went this way.
    direction: Option<Direction>,
    /// Of which this became.
    state: Option<MessageState>,
    /// At this moment or later; a day begins at midnight UTC.
    from: Option<Moment>,
    /// Earlier than this.
    to: Option<Moment>,
    /// The most of a page.
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    cursor: Option<Cursor>,
    /// Whether `total` is wanted.
    #[serde(default)]
    count: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessagePage)]
struct Page<'a> {
    /// Each of them.
    messages: Vec<MessageView<'a>>,
    /// What to show as `cursor` for the next page; none after the last.
    next_cursor: Option<MessageId>,
    /// How many there are on all pages, as far as it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 4711)]
    total: Option<i64>,
    /// Whether there are no more than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = true)]
    total_is_exact: Option<bool>,
}

/// A page of messages, newest first.
///
/// It may have fewer than `limit`, or none, though there are more: no page
/// takes long, whatever it is asked for. The last one has no `next_cursor`.
#[utoipa::path(
    get,
    path = "/api/v1/messages",
    tag = "messages",
    operation_id = "listMessages",
    params(Parameters, IfNoneMatch),
    responses(
        (status = 200, description = "A page of them.", body = Page<'_>),
    ),
)]
pub(in crate::http) async fn list(
    request: HttpRequest,
    caller: Caller,
    query: Query<Parameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Parameters { topic, device, direction, state, from, to, limit, cursor, count } =
        query.into_inner();
    let filter = Filter {
        topic: topic.map(|TopicQuery(topic)| topic),
        device,
        direction,
        state,
        from: from.map(|Moment(from)| from),
        to: to.map(|Moment(to)| to),
        account: message_view::only_of(&services, &caller),
    };
    let total = if count { Some(services.messages.count(&filter).await?) } else { None };
    let position = Position::Before(cursor.map(|Cursor(id)| id));
    let (messages, next_cursor) = services.messages.page(&filter, position, limit.0).await?;
    let messages = messages.iter().map(MessageView::of).collect();
    let (total, total_is_exact) = (total.map(|t| t.count), total.map(|t| t.is_exact));
    etag::json(&request, &Page { messages, next_cursor, total, total_is_exact })
}

/// One message.
#[utoipa::path(
    get,
    path = "/api/v1/messages/{id}",
    tag = "messages",
    operation_id = "getMessage",
    params(("id" = MessageId, Path, description = "Its id."), IfNoneMatch),
    responses(
        (status = 200, description = "The message.", body = MessageView<'_>),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    caller: Caller,
    id: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let message = message_view::find(&services, &caller, &id).await?;
    etag::json(&request, &MessageView::of(&message))
}
