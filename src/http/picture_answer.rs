//! A picture as an answer.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::range::{self, Part};
use super::{ApiError, Services, accept, etag};
use crate::pictures::{Picture, PictureId, PictureSize};

/// How many are looked at together for those that a caller may see.
const BATCH: u32 = 1001;

/// What is known of a picture, and where its bytes and its thumbnail are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Picture)]
pub(super) struct PictureView<'a> {
    #[serde(flatten)]
    picture: &'a Picture,
    /// Where its bytes are.
    #[schema(example = "/api/v1/pictures/67e55044-10b1-426f-9247-bb680e5fe0c8")]
    pub(super) link: String,
    /// Where it is small enough for a list.
    #[schema(example = "/api/v1/pictures/67e55044-10b1-426f-9247-bb680e5fe0c8?size=thumb")]
    thumbnail: String,
}

impl<'a> PictureView<'a> {
    pub(super) fn of(picture: &'a Picture) -> Self {
        let link = format!("/api/v1/pictures/{}", picture.id);
        Self { picture, thumbnail: format!("{link}?size={}", PictureSize::Thumb), link }
    }
}

/// The picture of this id, where this caller may see it.
pub(super) async fn find(
    services: &Services,
    caller: &Caller,
    id: &str,
) -> Result<Picture, ApiError> {
    let id = id.parse().map_err(|_| missing())?;
    let picture = services.pictures.get(&id).await?;
    picture.filter(|picture| is_seen(services, caller, picture)).ok_or_else(missing)
}

/// There is none, or none for who asks.
pub(super) fn missing() -> ApiError {
    ApiError::NotFound("there is no such picture".to_owned())
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
    size: PictureSize,
) -> Result<HttpResponse, ApiError> {
    let mut response = if accept::names(request, "application/json") {
        etag::json(request, &PictureView::of(picture))?
    } else {
        bytes(request, services, picture, size).await?
    };
    response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept"));
    Ok(response)
}

/// The bytes, or a part of them, or that the client has them already.
pub(super) async fn bytes(
    request: &HttpRequest,
    services: &Services,
    picture: &Picture,
    size: PictureSize,
) -> Result<HttpResponse, ApiError> {
    let file = picture.file_name(size);
    // A picture never changes under its name.
    let tag = format!("\"{file}\"");
    if etag::is_known(request, &tag) {
        return Ok(etag::not_modified(&tag));
    }
    let bytes = services.pictures.bytes(picture, size).await?;
    let length = bytes.len() as u64;
    let part = Part::of(request, &tag, length);
    let mut response = match part {
        Part::Bytes(..) => HttpResponse::PartialContent(),
        Part::Whole | Part::Nothing => HttpResponse::Ok(),
    };
    response
        .insert_header((header::CONTENT_TYPE, picture.media_type_of(size).as_str()))
        .insert_header((header::ETAG, tag))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::CONTENT_DISPOSITION, format!("inline; filename=\"{file}\"")))
        // No page, whatever a browser takes it for.
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"));
    match part {
        Part::Whole => Ok(response.body(bytes)),
        Part::Nothing => Err(ApiError::NoSuchPart(length)),
        Part::Bytes(first, last) => {
            // Both lie within the bytes, whose number is a usize.
            let part = bytes.slice(first as usize..=last as usize);
            response.insert_header(range::content_range(Some((first, last)), length));
            Ok(response.body(part))
        }
    }
}
