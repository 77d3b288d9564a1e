//! `/api/v1/events`: what happened, who did it, and what was refused; and
//! `/api/v1/events/{seq}`.

pub(in crate::http) mod export;
pub(in crate::http) mod stream;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::events::{Filter, Kind, Recorded};
use crate::http::openapi::IfNoneMatch;
use crate::http::query::{Limit, Moment, NoQuery, Query};
use crate::http::{ApiError, Services, etag};
use crate::state::DeviceId;

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
    /// The most of a page.
    #[serde(default)]
    limit: Limit,
    /// The last number of the page before.
    cursor: Option<i64>,
    /// Whether `total` is wanted.
    #[serde(default)]
    count: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventPage)]
struct Page {
    /// Each of them.
    events: Vec<Recorded>,
    /// What to show as `cursor` for the next page; none after the last.
    #[schema(example = 4612)]
    next_cursor: Option<i64>,
    /// How many there are on all pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 4711)]
    total: Option<i64>,
}

/// A page of events, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "events",
    operation_id = "listEvents",
    params(Parameters, IfNoneMatch),
    responses(
        (status = 200, description = "A page of them.", body = Page),
    ),
)]
pub(in crate::http) async fn list(
    request: HttpRequest,
    query: Query<Parameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Parameters { actor, kind, device, result, from, to, limit, cursor, count } =
        query.into_inner();
    let (from, to) = (from.map(|Moment(from)| from), to.map(|Moment(to)| to));
    let filter = Filter { actor, kind, device, result, from, to };
    let total = if count { Some(services.events.count(&filter).await?) } else { None };
    let mut events = services.events.page(&filter, cursor, limit.0 + 1).await?;
    let more = limit.cut(&mut events);
    let next_cursor = events.last().filter(|_| more).map(|event| event.seq);
    etag::json(&request, &Page { events, next_cursor, total })
}

/// One event.
#[utoipa::path(
    get,
    path = "/api/v1/events/{seq}",
    tag = "events",
    operation_id = "getEvent",
    params(("seq" = i64, Path, description = "Its number.", minimum = 1, example = 4711), IfNoneMatch),
    responses(
        (status = 200, description = "The event.", body = Recorded),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    seq: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let missing = || ApiError::NotFound("there is no such event".to_owned());
    let seq = seq.parse().map_err(|_| missing())?;
    let event = services.events.get(seq).await?.ok_or_else(missing)?;
    etag::json(&request, &event)
}
