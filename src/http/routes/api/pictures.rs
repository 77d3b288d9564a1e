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
use utoipa::{IntoParams, ToSchema};

use crate::events::{Event, Kind};
use crate::http::auth::Caller;
use crate::http::openapi::{IfNoneMatch, Range};
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

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// The camera that it is from.
    device: Option<DeviceId>,
    /// What it is called: 1 to 128 of letters, digits, `.`, `_` and `-`.
    #[param(example = "door.jpg")]
    name: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct PageParameters {
    /// Those that show a stranger alone, the last said to do so first.
    #[serde(default)]
    strangers: bool,
    /// The most of a page.
    #[serde(default)]
    limit: Limit,
    /// The last id of the page before.
    #[param(value_type = Option<PictureId>)]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct SizeParameter {
    /// How large: as it is kept, or small enough for a list.
    #[serde(default)]
    size: PictureSize,
}

/// A picture as a form has it.
#[derive(ToSchema)]
#[schema(as = PictureForm)]
#[allow(dead_code)] // Reason: it is read part by part; this describes it.
pub(in crate::http) struct Parts {
    /// The file.
    #[schema(value_type = String, format = Binary, content_media_type = "image/jpeg")]
    picture: Vec<u8>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PicturePage)]
struct Page<'a> {
    /// Each of them.
    pictures: Vec<PictureView<'a>>,
    /// What to show as `cursor` for the next page; none after the last.
    next_cursor: Option<PictureId>,
}

/// A page of pictures, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/pictures",
    tag = "pictures",
    operation_id = "listPictures",
    params(PageParameters, IfNoneMatch),
    responses(
        (status = 200, description = "A page of them.", body = Page<'_>),
        (status = 404, description = "There is no picture of the id that `cursor` has."),
    ),
)]
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

/// Takes a picture in, as from a camera.
///
/// The body is the picture, or a form whose part `picture` is. It is decoded and
/// encoded anew, without what the camera wrote beside it. Its name is `name`,
/// else the file name of the part.
#[utoipa::path(
    post,
    path = "/api/v1/pictures",
    tag = "pictures",
    operation_id = "addPicture",
    params(Parameters),
    request_body(description = "A JPEG or a PNG: the bytes themselves, or as the one part `picture` of a form.", content(
        (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "application/octet-stream"), (Parts = "multipart/form-data"),
    )),
    responses(
        (status = 201, description = "It is kept.", body = PictureView<'_>, headers(("Location" = String, description = "Where it is."))),
        (status = 404, description = "There is no such device."),
    ),
)]
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

/// A picture, or what is known of it for `Accept: application/json`.
#[utoipa::path(
    get,
    path = "/api/v1/pictures/{id}",
    tag = "pictures",
    operation_id = "getPicture",
    params(("id" = PictureId, Path, description = "The picture."), SizeParameter, IfNoneMatch, Range),
    responses(
        (status = 200, description = "The picture as it is kept, or what is known of it for `Accept: application/json`.", content(
            (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (PictureView<'_> = "application/json"),
        )),
    ),
)]
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
#[utoipa::path(
    delete,
    path = "/api/v1/pictures/{id}",
    tag = "pictures",
    operation_id = "deletePicture",
    params(("id" = PictureId, Path, description = "The picture.")),
    responses(
        (status = 204, description = "It is gone, from disk and database."),
    ),
)]
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
