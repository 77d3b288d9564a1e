//! `GET /picture/{id}`: a picture, for whoever has a link to it that this
//! server has signed. Nobody need be known: the link is what lets them in.

use actix_web::http::header::{CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use crate::events::{Event, Kind};
use crate::http::openapi::{IfNoneMatch, Range};
use crate::http::peer::Peer;
use crate::http::query::Query;
use crate::http::{ApiError, Services, picture_answer};
use crate::identity::Through;
use crate::pictures::{PictureId, ShownLink};

/// A picture, for whoever has a link to it that the server has signed.
///
/// `POST /api/v1/pictures/{id}/link` makes links, and so does the alert
/// `stranger`. Whether there is such a picture, is told to who has a good one
/// alone.
#[utoipa::path(
    get,
    path = "/picture/{id}",
    tag = "pictures",
    operation_id = "openPictureLink",
    params(("id" = PictureId, Path, description = "The picture."), ShownLink, IfNoneMatch, Range),
    responses(
        (status = 200, description = "The picture in the size of the link.", content(
            (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"),
        )),
        (status = 403, description = "The link was not made by this server, was altered, or has expired."),
        (status = 404, description = "The picture was deleted."),
    ),
)]
pub(in crate::http) async fn get(
    request: HttpRequest,
    id: Path<String>,
    link: Query<ShownLink>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let opened = services.links.check(&id, &link).map_err(|why| {
        let address = Peer::of(&request).address;
        let event = Event::of_nobody(Kind::Refusal, Through::Http, address, "GET /picture/{id}");
        services.events.refused(event.refused(&why.to_string()));
        ApiError::NotAllowed(why.to_string())
    })?;
    let (id, size) = opened;
    let picture = services.pictures.get(&id).await?.ok_or_else(picture_answer::missing)?;
    let mut response = picture_answer::bytes(&request, &services, &picture, size).await?;
    // Whoever has the link may show it where they like: in a mail, in a chat.
    let (name, value) = (CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    response.headers_mut().insert(name, value);
    Ok(response)
}
