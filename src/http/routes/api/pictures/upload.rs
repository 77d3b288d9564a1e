//! `POST /api/v1/pictures`: a camera sends a picture, or an app does in its
//! place.

use std::collections::HashMap;

use actix_multipart::Multipart;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use parking_lot::Mutex;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::events::{Event, Kind};
use crate::http::auth::Caller;
use crate::http::picture_answer::PictureView;
use crate::http::query::Query;
use crate::http::{ApiError, Services, body};
use crate::identity::Who;
use crate::pictures::{Picture, Upload};
use crate::state::DeviceId;

/// What the parts of a multipart body may have beside the picture's bytes.
const AROUND_THE_PICTURE: usize = 16 * 1024;

/// How many uploads may be in hand, each with its bytes in memory, and how many
/// of them may be one sender's; who comes later is told that the server is busy.
const IN_HAND: usize = 16;
const IN_HAND_OF_ONE: usize = 4;

/// The uploads that are in hand.
#[derive(Default)]
pub(in crate::http) struct Uploads(Mutex<InHand>);

#[derive(Default)]
struct InHand {
    all: usize,
    /// As many as there are uploads, at the most.
    by_sender: HashMap<String, usize>,
}

/// An upload's place; given back when it is dropped.
struct Place<'a> {
    uploads: &'a Uploads,
    sender: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// The camera that it is from.
    device: Option<DeviceId>,
    /// What it is called: 1 to 128 bytes without spaces, slashes, backslashes and
    /// control characters.
    #[param(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\s\x00-\x1f\x7f-\x9f/\\]+$",
        example = "door.jpg"
    )]
    name: Option<String>,
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

/// Takes a picture in, from a camera or in its place.
///
/// A camera shows its own id and password, as over MQTT, and uploads as itself.
/// What anybody else sends in its place says so (`sender`), is on record, and is
/// what the camera's `find_stranger` means where that names its id alone.
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
        (status = 429, description = "The sender sends too many: `Retry-After` says in how many seconds there may be another."),
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
    let sender = caller.0.clone();
    let device = of_device(&services, &caller, device)?;
    services.pictures.admit(&sender)?;
    let _in_hand = uploads
        .begin(sender.key())
        .ok_or_else(|| ApiError::Busy("too many pictures come at once".to_owned()))?;
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
    let upload = Upload { bytes, sender, device, name: name.or(file_name) };
    let picture = services.pictures.save(upload).await?;
    record(&services, &caller, &picture).await;
    tracing::info!(
        picture = %picture.id,
        device = picture.device.as_ref().map(tracing::field::display),
        sender = picture.sender,
        size = picture.size,
        "picture uploaded"
    );
    let view = PictureView::of(&picture);
    Ok(HttpResponse::Created().insert_header((LOCATION, view.link.clone())).json(view))
}

/// Whose picture it is: a camera's own, whatever it says; an app's, or that of a
/// device that it names and sees.
fn of_device(
    services: &Services,
    caller: &Caller,
    named: Option<DeviceId>,
) -> Result<Option<DeviceId>, ApiError> {
    let camera = match &caller.0.who {
        Who::Device(camera) => Some(camera),
        _ => None,
    };
    let missing = |device: &DeviceId| ApiError::NotFound(format!("there is no device {device}"));
    let is_known = |device: &DeviceId| services.state.is_known(device.as_str());
    match (camera, named) {
        (Some(camera), Some(named)) if named != *camera => Err(missing(&named)),
        (Some(camera), _) if !is_known(camera) => Err(ApiError::NotAllowed(format!(
            "`{camera}` has not joined: say `hand_shake <kind>` over MQTT first"
        ))),
        (Some(camera), _) => Ok(Some(camera.clone())),
        (None, Some(named)) if !(caller.sees(services, &named) && is_known(&named)) => {
            Err(missing(&named))
        }
        (None, named) => Ok(named),
    }
}

/// What is sent in a camera's place is on record. What cameras send themselves is
/// not: of that there is much, and each picture says so.
async fn record(services: &Services, caller: &Caller, picture: &Picture) {
    if matches!(caller.0.who, Who::Device(_)) {
        return;
    }
    let event = Event::of(Kind::Picture, &caller.0, "upload").detail(&picture.id.to_string());
    let event = picture.device.iter().fold(event, Event::device);
    services.events.record_and_wait(event).await;
}

impl Uploads {
    fn begin(&self, sender: String) -> Option<Place<'_>> {
        let mut in_hand = self.0.lock();
        let of_one = in_hand.by_sender.get(&sender).copied().unwrap_or_default();
        if in_hand.all >= IN_HAND || of_one >= IN_HAND_OF_ONE {
            return None;
        }
        in_hand.all += 1;
        in_hand.by_sender.insert(sender.clone(), of_one + 1);
        drop(in_hand);
        Some(Place { uploads: self, sender })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut in_hand = self.uploads.0.lock();
        in_hand.all -= 1;
        if let Some(uploads) = in_hand.by_sender.get_mut(&self.sender) {
            *uploads -= 1;
            if *uploads == 0 {
                in_hand.by_sender.remove(&self.sender);
            }
        }
    }
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
