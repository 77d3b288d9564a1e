//! `/api/v1/events`: what happened, who did it, and what was refused; and
//! `/api/v1/events/{seq}`.

pub(in crate::http) mod export;
pub(in crate::http) mod stream;

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use crate::events::{Filter, Kind, Recorded};
use crate::http::query::{Limit, Moment, NoQuery};
use crate::http::{ApiError, Services, etag};
use crate::state::DeviceId;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Parameters {
    actor: Option<String>,
    kind: Option<Kind>,
    device: Option<DeviceId>,
    result: Option<String>,
    from: Option<Moment>,
    to: Option<Moment>,
    #[serde(default)]
    limit: Limit,
    /// The last number of the page before.
    cursor: Option<i64>,
    #[serde(default)]
    count: bool,
}

#[derive(Debug, Serialize)]
struct Page {
    events: Vec<Recorded>,
    next_cursor: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
}

/// A page of events, newest first.
pub(in crate::http) async fn list(
    request: HttpRequest,
    query: Query<Parameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Parameters { actor, kind, device, result, from, to, limit: Limit(limit), cursor, count } =
        query.into_inner();
    let (from, to) = (from.map(|Moment(from)| from), to.map(|Moment(to)| to));
    let filter = Filter { actor, kind, device, result, from, to };
    let total = if count { Some(services.events.count(&filter).await?) } else { None };
    let mut events = services.events.page(&filter, cursor, limit + 1).await?;
    let more = events.len() > limit as usize;
    events.truncate(limit as usize);
    let next_cursor = events.last().filter(|_| more).map(|event| event.seq);
    etag::json(&request, &Page { events, next_cursor, total })
}

/// One event.
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
