//! `GET /get_pic`: the newest stranger picture, or `?id=`; with
//! `?size=thumb` its thumbnail.

use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::http::auth::Caller;
use crate::http::{ApiError, Services, picture_answer};
use crate::pictures::PictureSize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Parameters {
    id: Option<String>,
    #[serde(default)]
    size: PictureSize,
}

/// The picture, or what is known of it for who asks for `application/json`.
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
