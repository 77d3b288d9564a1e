//! `GET /get_pic`: the newest stranger picture, or `?id=`; with
//! `?size=thumb` its thumbnail.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::auth::Caller;
use crate::http::openapi::{IfNoneMatch, Range};
use crate::http::picture_answer::PictureView;
use crate::http::query::Query;
use crate::http::{ApiError, Services, picture_answer};
use crate::pictures::{PictureId, PictureSize};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// This one; without it, the newest of a stranger.
    #[param(value_type = Option<PictureId>)]
    id: Option<String>,
    /// How large: as it is kept, or small enough for a list.
    #[serde(default)]
    size: PictureSize,
}

/// The newest picture of a stranger, or the one of this `id`.
#[utoipa::path(
    get,
    path = "/get_pic",
    tag = "pictures",
    operation_id = "getStrangerPicture",
    params(Parameters, IfNoneMatch, Range),
    responses(
        (status = 200, description = "The picture as it is kept, or what is known of it for `Accept: application/json`.", content(
            (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (PictureView<'_> = "application/json"),
        )),
        (status = 404, description = "No camera has seen a stranger yet, or there is no such picture."),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    caller: Caller,
    query: Query<Parameters>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let picture = match &query.id {
        Some(id) => picture_answer::find(&services, &caller, id).await?,
        None => {
            let newest = picture_answer::page(&services, &caller, true, None, 1).await?;
            newest
                .into_iter()
                .next()
                .ok_or_else(|| ApiError::NotFound("no camera has seen a stranger yet".to_owned()))?
        }
    };
    picture_answer::answer(&request, &services, &picture, query.size).await
}
