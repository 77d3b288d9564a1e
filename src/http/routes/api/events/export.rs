//! `GET /api/v1/events/export`: all events that are like this, as a file, the
//! oldest first.

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::Data;
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::events::{EventError, Events, Filter, Kind, Recorded};
use crate::export_format::Format;
use crate::http::auth::Caller;
use crate::http::query::{Moment, Query};
use crate::http::{ApiError, Services, export_answer};
use crate::state::DeviceId;

/// How many events are read and sent at a time: the next ones are read when
/// the client has taken these.
const AT_A_TIME: u32 = 500;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// Whose: `app:ann`, `device:front-door`.
    actor: Option<String>,
    /// About what.
    kind: Option<Kind>,
    /// About which device.
    device: Option<DeviceId>,
    /// With which result: `ok`, `refused`, `failed`, or a command's ending.
    result: Option<String>,
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
    events: Events,
    filter: Filter,
    format: Format,
    head: Option<String>,
    after: i64,
    last: i64,
}

/// All events that are like this, as a file, the oldest first.
///
/// Up to the newest event of this moment. That it was asked for is an event;
/// HEAD gives nothing away, and is none.
#[utoipa::path(
    get,
    path = "/api/v1/events/export",
    tag = "events",
    operation_id = "exportEvents",
    params(Parameters),
    responses(
        (status = 200, description = "The file, as a stream: whoever does not get its end has not got all.", content(
            (String = "text/csv", example = "seq,at,kind,actor,through,address,device,command,action,result,detail,times\r\n"),
            (Recorded = "application/x-ndjson"),
        )),
    ),
)]
pub(in crate::http) async fn get(
    method: Method,
    caller: Caller,
    query: Query<Parameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Parameters { actor, kind, device, result, from, to, format } = query.into_inner();
    let (from, to) = (from.map(|Moment(from)| from), to.map(|Moment(to)| to));
    let filter = Filter { actor, kind, device, result, from, to };
    let events = services.events.clone();
    let last = events.newest().await?;
    let head = Some(format.head(&Recorded::NAMES));
    let rest = Rest { events, filter, format, head, after: 0, last };
    let lines = stream::try_unfold(rest, Rest::next);
    export_answer::answer(&method, &caller, &services, ("events", format, last), lines).await
}

impl Rest {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, EventError> {
        if let Some(head) = self.head.take().filter(|head| !head.is_empty()) {
            return Ok(Some((head.into(), self)));
        }
        let Self { events, filter, after, last, .. } = &self;
        let events = events
            .after(filter, *after, *last, AT_A_TIME)
            .await
            .inspect_err(|error| tracing::error!(%error, "an export of events is cut off"))?;
        let Some(newest) = events.last() else { return Ok(None) };
        self.after = newest.seq;
        let lines = self.format.lines(&events, Recorded::columns);
        let lines = lines.map_err(EventError::odd)?;
        Ok(Some((lines.into(), self)))
    }
}
