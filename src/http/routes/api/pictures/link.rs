//! `POST /api/v1/pictures/{id}/link`: links that open a picture to whoever has
//! them, for a while.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

use crate::events::{Event, Kind};
use crate::http::auth::Caller;
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, body, picture_answer};
use crate::pictures::{PictureId, SignedLinks};

/// Makes links that open the picture without a sign-in, until they expire.
///
/// That somebody did is on record before they are told.
#[utoipa::path(
    post,
    path = "/api/v1/pictures/{id}/link",
    tag = "pictures",
    operation_id = "linkPicture",
    params(("id" = PictureId, Path, description = "The picture.")),
    responses(
        (status = 201, description = "Whoever has them may open the picture.", body = SignedLinks),
        (status = 403, description = "The caller lacks the scope, or the settings want no such links."),
    ),
)]
pub(in crate::http) async fn post(
    caller: Caller,
    request: HttpRequest,
    id: Path<String>,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    body::expect_none(&request, payload, &services.settings).await?;
    let picture = picture_answer::find(&services, &caller, &id).await?;
    let links = services.links.signed(&picture.id).ok_or_else(|| {
        ApiError::NotAllowed("pictures.link_seconds is 0: there are no such links".to_owned())
    })?;
    let event = Event::of(Kind::Picture, &caller.0, "link").detail(&picture.id.to_string());
    let event = picture.device.iter().fold(event, Event::device);
    services.events.record_now(event).await?;
    Ok(HttpResponse::Created().json(links))
}
