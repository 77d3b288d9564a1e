//! `GET /api/v1/events/stream`: events as they happen, as server-sent events;
//! with `Last-Event-ID` or `?after=`, what happened behind that one first.

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::events::{EventError, Events, Kind, Which};
use crate::http::auth::Caller;
use crate::http::connection::Usage;
use crate::http::event_stream::{Gap, Opening, Sight, Start, sight};
use crate::http::query::Query;
use crate::http::stopping::Stopping;
use crate::http::streams::Streams;
use crate::http::{ApiError, Origins, Services};
use crate::identity::{Scope, Scopes};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The most devices that a stream names.
const MOST_DEVICES: usize = 100;

/// What proxies are told: pass each byte on at once.
const NOT_BUFFERED: (&str, &str) = ("X-Accel-Buffering", "no");

/// What is wanted: `kind` and `device`, each as often as one likes or with
/// commas between, and `after`.
#[derive(Debug, Default)]
struct Wanted {
    which: Which,
    after: Option<i64>,
}

/// Events as they happen, as long as the reader reads and is let in.
///
/// Server-sent events: `id` is the event's number, `event` its kind, `data` the
/// event as `/api/v1/events/{seq}` has it, on one line. Whoever comes back says
/// what they had last, and gets what happened since first. Who may not see
/// everything gets what is about the devices that they see; a guest, what
/// happened while a device was granted to them, and nobody's name but their own.
/// A reader that does not read is cut off, and may come back.
#[utoipa::path(
    get,
    path = "/api/v1/events/stream",
    tag = "events",
    operation_id = "followEvents",
    params(
        ("kind" = Option<String>, Query, description = "Of these kinds alone, with commas between; may stand several times.", example = "device,command"),
        ("device" = Option<String>, Query, description = "About these devices alone, with commas between, at most 100; may stand several times.", example = "front-door"),
        ("after" = Option<i64>, Query, description = "What happened behind this event first.", minimum = 0, example = 4711),
        ("Last-Event-ID" = Option<i64>, Header, description = "The same, as browsers say it; it counts before `after`.", minimum = 0, example = 4711),
    ),
    responses(
        (status = 200, description = "Events, without end.", body = String, content_type = "text/event-stream", example = "id: 4712\nevent: device\ndata: {\"seq\":4712,\"kind\":\"device\",\"device\":\"front-door\",\"action\":\"state\",\"result\":\"ok\",\"detail\":\"locked\"}\n\n"),
        (status = 429, description = "Too many streams are open, of the caller or of all."),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    caller: Caller,
    query: Query<Vec<(String, String)>>,
    services: Data<Services>,
    origins: Data<Origins>,
    streams: Data<Streams>,
    stopping: Data<Stopping>,
) -> Result<HttpResponse, ApiError> {
    origins.check_origin(request.headers())?;
    let Wanted { which, after } = Wanted::of(&query)?;
    let after = last_event_id(&request)?.or(after);
    let pass = caller.pass(&request, &services)?;
    check_kinds(&which, sight(&services, &pass))?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(NOT_BUFFERED);
    if request.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let place = streams.enter(&pass.principal)?;
    let start = start(&services.events, after).await?;
    let usage = request.conn_data::<Usage>().cloned();
    let opening = Opening { services, stopping, place, pass, which, usage, start };
    Ok(response.streaming(opening.body()))
}

/// Refuses what would never come.
fn check_kinds(which: &Which, sight: Option<Sight>) -> Result<(), ApiError> {
    let shown = |kind: &Kind| sight == Some(Sight::Whole) || Kind::OF_DEVICES.contains(kind);
    match which.kinds.iter().find(|kind| !shown(kind)) {
        Some(kind) => {
            let why = format!("events of the kind `{}` are for `events:read`", kind.as_str());
            Err(ApiError::Scope(why, Scopes::from_iter([Scope::EventsRead])))
        }
        None => Ok(()),
    }
}

/// Behind which event the stream begins: behind the newest, where none is named.
async fn start(events: &Events, after: Option<i64>) -> Result<Start, EventError> {
    let newest = events.newest().await?;
    let Some(after) = after else { return Ok(Start { after: newest, gap: None }) };
    let next = events.oldest().await?.max(1);
    let why = if after > newest {
        "the record has begun anew"
    } else if after < next - 1 {
        "what lies between is not kept any longer"
    } else {
        return Ok(Start { after, gap: None });
    };
    Ok(Start { after: next - 1, gap: Some(Gap { after, next, why }) })
}

/// What a reader who comes back had last.
fn last_event_id(request: &HttpRequest) -> Result<Option<i64>, ApiError> {
    let Some(shown) = request.headers().get(LAST_EVENT_ID) else { return Ok(None) };
    match shown.to_str().unwrap_or("?").trim() {
        "" => Ok(None),
        shown => number("Last-Event-ID", shown).map(Some),
    }
}

fn number(what: &str, text: &str) -> Result<i64, ApiError> {
    text.parse().ok().filter(|number| *number >= 0).ok_or_else(|| {
        let shown: String = text.chars().take(40).flat_map(char::escape_default).collect();
        ApiError::Malformed(format!("{what}: `{shown}` is not the number of an event"))
    })
}

impl Wanted {
    fn of(query: &[(String, String)]) -> Result<Self, ApiError> {
        let mut wanted = Self::default();
        for (name, value) in query {
            let words = value.split(',');
            match name.as_str() {
                "after" => wanted.after = Some(number("query: after", value)?),
                "kind" => {
                    for word in words {
                        wanted.which.kinds.push(kind(word)?);
                    }
                }
                "device" => {
                    for word in words {
                        let id = word.parse().map_err(|error| {
                            ApiError::Malformed(format!("query: device: {error}"))
                        })?;
                        wanted.which.devices.push(id);
                    }
                }
                _ => {
                    let shown: String =
                        name.chars().take(40).flat_map(char::escape_default).collect();
                    return Err(ApiError::Malformed(format!(
                        "query: unknown field `{shown}`, expected `kind`, `device` or `after`"
                    )));
                }
            }
        }
        if wanted.which.devices.len() > MOST_DEVICES || wanted.which.kinds.len() > MOST_DEVICES {
            return Err(ApiError::Malformed(format!("query: no more than {MOST_DEVICES} of each")));
        }
        Ok(wanted)
    }
}

fn kind(word: &str) -> Result<Kind, ApiError> {
    let found = Kind::ALL.into_iter().find(|kind| kind.as_str() == word);
    found.ok_or_else(|| {
        let shown: String = word.chars().take(40).flat_map(char::escape_default).collect();
        ApiError::Malformed(format!("query: kind: `{shown}` is no kind of event"))
    })
}
