//! The answer that is a file of records.

use std::error::Error;
use std::fmt::Display;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _, stream};

use super::auth::Caller;
use super::{ApiError, Services};
use crate::events::{Event, Kind};
use crate::export_format::Format;

/// These records, from `lines`, as a file; that they are taken away is on record
/// before. HEAD has the head alone, also where the answer is written as if it
/// had been GET, as it is when another request comes with it.
pub(super) async fn answer<E: Error + 'static>(
    method: &Method,
    caller: &Caller,
    services: &Services,
    (records, format, last): (&'static str, Format, impl Display),
    lines: impl Stream<Item = Result<Bytes, E>> + 'static,
) -> Result<HttpResponse, ApiError> {
    let file = format!("attachment; filename=\"latchlight-{records}.{}\"", format.as_str());
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, format.media_type()))
        .insert_header((CONTENT_DISPOSITION, file));
    if method == Method::HEAD {
        // Of no length that it could say (RFC 9110, 8.6).
        return Ok(answer.streaming(stream::empty::<Result<Bytes, E>>()));
    }
    let what = format!("{} of {records} up to {last}", format.as_str());
    let event = Event::of(Kind::Record, &caller.0, "export").detail(&what);
    services.events.record_now(event).await?;
    // What fails on the way cuts the answer off: nobody takes a part for all.
    let note = move |error: &E| tracing::error!(%error, records, "an export is cut off");
    Ok(answer.streaming(lines.inspect_err(note)))
}
