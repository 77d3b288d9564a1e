//! `/api/v1/pictures`: a camera or an app uploads, and what there is; and
//! `/api/v1/pictures/{id}`.

use actix_multipart::Multipart;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::events::{Event, Kind};
use crate::http::auth::Caller;
use crate::http::picture_answer::{self, PictureView};
use crate::http::query::{Limit, NoQuery};
use crate::http::{ApiError, Services, body, etag};
use crate::pictures::{PictureId, PictureSize, Upload};
use crate::state::DeviceId;

/// What the parts of a multipart body may have beside the picture's bytes.
const AROUND_THE_PICTURE: usize = 16 * 1024;

/// How many uploads may be in hand, each with its bytes in memory; who comes
/// later is told that the server is busy.
pub(in crate::http) struct Uploads(Semaphore);

impl Default for Uploads {
    fn default() -> Self {
        Self(Semaphore::new(16))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Parameters {
    device: Option<DeviceId>,
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PageParameters {
    /// Those that show a stranger alone, the last said to do so first.
    #[serde(default)]
    strangers: bool,
    #[serde(default)]
    limit: Limit,
    /// The last id of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SizeParameter {
    #[serde(default)]
    size: PictureSize,
}

#[derive(Debug, Serialize)]
struct Page<'a> {
    pictures: Vec<PictureView<'a>>,
    next_cursor: Option<PictureId>,
}

/// A page of pictures, newest first.
pub(in crate::http) async fn list(
    request: HttpRequest,
    caller: Caller,
    query: Query<PageParameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let PageParameters { strangers, limit: Limit(limit), cursor } = query.into_inner();
    let after = match &cursor {
        Some(cursor) => Some(picture_answer::find(&services, &caller, cursor).await?.id),
        None => None,
    };
    let limit = limit as usize;
    let mut pictures =
        picture_answer::page(&services, &caller, strangers, after, limit + 1).await?;
    let more = pictures.len() > limit;
    pictures.truncate(limit);
    let next_cursor = pictures.last().filter(|_| more).map(|picture| picture.id);
    let pictures = pictures.iter().map(PictureView::of).collect();
    etag::json(&request, &Page { pictures, next_cursor })
}

/// Takes a picture in: the body itself, or its part `picture`. Its name is
/// `?name=`, else the file name of the part.
pub(in crate::http) async fn post(
    request: HttpRequest,
    caller: Caller,
    query: Query<Parameters>,
    payload: Payload,
    services: Data<Services>,
    uploads: Data<Uploads>,
) -> Result<HttpResponse, ApiError> {
    let Parameters { device, name } = query.into_inner();
    if let Some(device) = &device
        && !(caller.sees(&services, device) && services.state.is_known(device.as_str()))
    {
        return Err(ApiError::NotFound(format!("there is no device {device}")));
    }
    let _in_hand = uploads
        .0
        .try_acquire()
        .map_err(|_| ApiError::Busy("too many pictures come at once".to_owned()))?;
    let media_type = request.content_type().to_ascii_lowercase();
    let (bytes, file_name) = match media_type.as_str() {
        "multipart/form-data" => read_parts(&request, payload, &services).await?,
        "" | "application/octet-stream" | "image/jpeg" | "image/png" => {
            (read_raw(&request, payload, &services).await?, None)
        }
        other => {
            return Err(ApiError::WrongType(format!(
                "Content-Type must be image/jpeg, image/png, application/octet-stream or multipart/form-data, and is `{}`",
                other.escape_default()
            )));
        }
    };
    let file_name = file_name.filter(|name| Upload::is_name(name));
    let upload = Upload { bytes, device, name: name.or(file_name) };
    let picture = services.pictures.save(upload).await?;
    tracing::info!(
        picture = %picture.id,
        device = picture.device.as_ref().map(tracing::field::display),
        size = picture.size,
        "picture uploaded"
    );
    let view = PictureView::of(&picture);
    Ok(HttpResponse::Created().insert_header((LOCATION, view.link.clone())).json(view))
}

async fn read_raw(
    request: &HttpRequest,
    payload: Payload,
    services: &Services,
) -> Result<Bytes, ApiError> {
    let max = services.pictures.max_bytes();
    body::read(request, payload, max, services.settings.request_timeout()).await
}

/// The bytes and the file name of the one part, `picture`.
async fn read_parts(
    request: &HttpRequest,
    payload: Payload,
    services: &Services,
) -> Result<(Bytes, Option<String>), ApiError> {
    let max = services.pictures.max_bytes();
    body::check_length(request, max + AROUND_THE_PICTURE)?;
    let parts = Multipart::new(request.headers(), payload);
    let picture = read_picture(parts, max);
    tokio::time::timeout(services.settings.request_timeout(), picture)
        .await
        .unwrap_or(Err(ApiError::TooSlow))
}

async fn read_picture(
    mut parts: Multipart,
    max: usize,
) -> Result<(Bytes, Option<String>), ApiError> {
    let broken = |error| ApiError::Malformed(format!("the multipart body: {error}"));
    let mut picture = None;
    while let Some(mut part) = parts.try_next().await.map_err(broken)? {
        let name = part.name().unwrap_or_default();
        if name != "picture" || picture.is_some() {
            return Err(ApiError::Invalid(format!(
                "the multipart body has one part, `picture`, and not also `{}`",
                name.chars().take(40).collect::<String>().escape_default()
            )));
        }
        let file_name = part.content_disposition().and_then(|part| part.get_filename());
        let file_name = file_name.map(str::to_owned);
        let mut bytes = BytesMut::new();
        while let Some(chunk) = part.try_next().await.map_err(broken)? {
            if bytes.len() + chunk.len() > max {
                return Err(ApiError::TooLarge(max));
            }
            bytes.extend_from_slice(&chunk);
        }
        picture = Some((bytes.freeze(), file_name));
    }
    picture.ok_or_else(|| ApiError::Invalid("the multipart body has no part `picture`".to_owned()))
}

/// The picture, or what is known of it for who asks for `application/json`.
pub(in crate::http) async fn get(
    request: HttpRequest,
    caller: Caller,
    id: Path<String>,
    query: Query<SizeParameter>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let picture = picture_answer::find(&services, &caller, &id).await?;
    picture_answer::answer(&request, &services, &picture, query.size).await
}

/// Deletes a picture; when this answers, it is gone from disk and database.
pub(in crate::http) async fn delete(
    caller: Caller,
    id: Path<String>,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let picture = picture_answer::find(&services, &caller, &id).await?;
    if !services.pictures.delete(&picture.id).await? {
        return Err(picture_answer::missing());
    }
    tracing::info!(picture = %picture.id, "picture deleted");
    let event = Event::of(Kind::Picture, &caller.0, "delete").detail(&picture.id.to_string());
    let event = picture.device.iter().fold(event, Event::device);
    services.events.record_and_wait(event).await;
    Ok(HttpResponse::NoContent().finish())
}
