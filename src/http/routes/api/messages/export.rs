//! `GET /api/v1/messages/export`: all messages that are like this, as a file,
//! the oldest first.

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::Data;
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::export_format::Format;
use crate::http::auth::Caller;
use crate::http::export_answer;
use crate::http::message_columns;
use crate::http::message_view::{self, MessageView};
use crate::http::query::{Moment, Query, TopicQuery};
use crate::http::{ApiError, Services};
use crate::messages::{
    Direction, Filter, MessageError, MessageId, MessageState, Messages, Position,
};

/// How many messages are read and sent at a time: the next ones are read when
/// the client has taken these.
const AT_A_TIME: u32 = 500;

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
    /// How it is written.
    #[serde(default)]
    format: Format,
}

/// What is to be sent still.
struct Rest {
    messages: Messages,
    filter: Filter,
    format: Format,
    head: Option<String>,
    last: MessageId,
    /// Where it goes on; nothing: it is at its end.
    position: Option<Position>,
}

/// All messages that are like this, as a file, the oldest first.
///
/// Up to the newest message of this moment. That it was asked for is an event;
/// HEAD gives nothing away, and is none.
#[utoipa::path(
    get,
    path = "/api/v1/messages/export",
    tag = "messages",
    operation_id = "exportMessages",
    params(Parameters),
    responses(
        (status = 200, description = "The file, as a stream: whoever does not get its end has not got all.", content(
            (String = "text/csv", example = "id,at,direction,state,topic,device,payload,payload_base64,qos,retain,content_type,properties,sender,expires_at,ended_at,detail\r\n"),
            (MessageView<'_> = "application/x-ndjson"),
        )),
    ),
)]
pub(in crate::http) async fn get(
    method: Method,
    caller: Caller,
    query: Query<Parameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Parameters { topic, device, direction, state, from, to, format } = query.into_inner();
    let filter = Filter {
        topic: topic.map(|TopicQuery(topic)| topic),
        device,
        direction,
        state,
        from: from.map(|Moment(from)| from),
        to: to.map(|Moment(to)| to),
        account: message_view::only_of(&services, &caller),
    };
    let messages = services.messages.clone();
    let last = messages.newest().await?;
    let head = Some(format.head(&message_columns::COLUMNS));
    let position = Some(Position::After(None, last));
    let rest = Rest { messages, filter, format, head, last, position };
    let lines = stream::try_unfold(rest, Rest::next);
    export_answer::answer(&method, &caller, &services, ("messages", format, last), lines).await
}

impl Rest {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, MessageError> {
        if let Some(head) = self.head.take().filter(|head| !head.is_empty()) {
            return Ok(Some((head.into(), self)));
        }
        while let Some(position) = self.position.take() {
            let (messages, next) =
                self.messages.page(&self.filter, position, AT_A_TIME).await.inspect_err(
                    |error| tracing::error!(%error, "an export of messages is cut off"),
                )?;
            self.position = next.map(|next| Position::After(Some(next), self.last));
            // Few may be meant of those that were looked at.
            if !messages.is_empty() {
                let views: Vec<_> = messages.iter().map(MessageView::of).collect();
                let lines = self.format.lines(&views, MessageView::columns);
                return Ok(Some((lines.map_err(MessageError::odd)?.into(), self)));
            }
        }
        Ok(None)
    }
}
