//! A picture as an answer.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::auth::Caller;
use super::{ApiError, Services, accept, etag};
use crate::pictures::{Picture, PictureId};

/// How many are looked at together for those that a caller may see.
const BATCH: u32 = 1001;

/// What is known of a picture, and where its bytes are.
#[derive(Debug, Serialize)]
pub(super) struct PictureView<'a> {
    #[serde(flatten)]
    picture: &'a Picture,
    pub(super) link: String,
}

impl<'a> PictureView<'a> {
    pub(super) fn of(picture: &'a Picture) -> Self {
        Self { picture, link: format!("/api/v1/pictures/{}", picture.id) }
    }
}

/// The picture of this id, where this caller may see it.
pub(super) async fn find(
    services: &Services,
    caller: &Caller,
    id: &str,
) -> Result<Picture, ApiError> {
    let missing = || ApiError::NotFound("there is no such picture".to_owned());
    let id = id.parse().map_err(|_| missing())?;
    let picture = services.pictures.get(&id).await?;
    picture.filter(|picture| is_seen(services, caller, picture)).ok_or_else(missing)
}

/// The newest pictures that this caller may see, as `Pictures::page` has them.
pub(super) async fn page(
    services: &Services,
    caller: &Caller,
    strangers: bool,
    after: Option<PictureId>,
    limit: usize,
) -> Result<Vec<Picture>, ApiError> {
    let mut seen = Vec::new();
    let mut after = after;
    loop {
        let batch = services.pictures.page(strangers, after.as_ref(), BATCH).await?;
        let is_last = batch.len() < BATCH as usize;
        after = batch.last().map(|picture| picture.id);
        seen.extend(batch.into_iter().filter(|picture| is_seen(services, caller, picture)));
        if is_last || seen.len() >= limit {
            seen.truncate(limit);
            return Ok(seen);
        }
    }
}

fn is_seen(services: &Services, caller: &Caller, picture: &Picture) -> bool {
    caller.sees_of(services, picture.device.as_ref())
}

/// The bytes, or what is known of the picture for who asks for
/// `application/json`.
pub(super) async fn answer(
    request: &HttpRequest,
    services: &Services,
    picture: &Picture,
) -> Result<HttpResponse, ApiError> {
    let mut response = if accept::names(request, "application/json") {
        etag::json(request, &PictureView::of(picture))?
    } else {
        // A picture never changes under its id.
        let tag = format!("\"{}\"", picture.id);
        if etag::is_known(request, &tag) {
            etag::not_modified(&tag)
        } else {
            let bytes = services.pictures.bytes(picture).await?;
            HttpResponse::Ok()
                .insert_header((header::CONTENT_TYPE, picture.media_type.as_str()))
                .insert_header((header::ETAG, tag))
                .insert_header((header::CACHE_CONTROL, "private, no-cache"))
                .insert_header((header::CONTENT_DISPOSITION, "inline"))
                .body(bytes)
        }
    };
    response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept"));
    Ok(response)
}
