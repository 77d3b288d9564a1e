//! `/api/v1/pictures`: a camera or an app uploads, and what there is; and
//! `/api/v1/pictures/{id}`.

pub(in crate::http) mod link;
pub(in crate::http) mod upload;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::events::{Event, Kind};
use crate::http::auth::Caller;
use crate::http::openapi::{IfNoneMatch, Range};
use crate::http::picture_answer::{self, PictureView};
use crate::http::query::{Limit, NoQuery, Query};
use crate::http::{ApiError, Services, etag};
use crate::pictures::{PictureId, PictureSize};

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
