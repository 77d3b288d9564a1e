//! `/api/v1/pairing`: for a time, whoever shows a code may join as a device.

use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use form_urlencoded::byte_serialize;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::events::{Event, Kind};
use crate::http::auth::Caller;
use crate::http::query::{NoQuery, Query};
use crate::http::{ApiError, Services, body};
use crate::identity::devices::PairingStatus;

/// How long it lasts unless told, and at the most.
const SECONDS: u64 = 180;
const MOST_SECONDS: u64 = 3600;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPairing)]
struct Body {
    /// For how long: 180.
    #[schema(minimum = 1, maximum = 3600, example = 180)]
    seconds: Option<u64>,
}

/// All that a device needs to join; the code is told here and nowhere else.
#[derive(Serialize, ToSchema)]
#[schema(as = BegunPairing)]
struct Begun {
    /// What the device shows as its name at CONNECT.
    #[schema(example = "join")]
    username: &'static str,
    /// What it shows as its password; told here and nowhere else.
    #[schema(example = "K7QX2-9MTPD")]
    code: String,
    /// For so long.
    #[schema(example = 180)]
    seconds: u64,
    /// Where devices find the broker.
    #[schema(example = "mqtts://home.example:8883")]
    broker: String,
    /// The first level, or levels, of every topic.
    #[schema(example = "latchlight")]
    prefix: String,
    /// All of it in one, for a QR code.
    #[schema(
        example = "latchlight://join?broker=mqtts%3A%2F%2Fhome.example%3A8883&prefix=latchlight&code=K7QX2-9MTPD"
    )]
    uri: String,
}

/// How pairing stands: whether a device may join by a code now.
#[utoipa::path(
    get,
    path = "/api/v1/pairing",
    tag = "joining",
    operation_id = "getPairing",
    responses(
        (status = 200, description = "How it stands.", body = PairingStatus),
    ),
)]
pub(in crate::http) async fn get(_: Query<NoQuery>, services: Data<Services>) -> HttpResponse {
    let status: PairingStatus = services.pairing.status();
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(status)
}

/// Opens pairing, in the place of what is open.
///
/// For so long, one device may join by the code that this answer tells.
#[utoipa::path(
    post,
    path = "/api/v1/pairing",
    tag = "joining",
    operation_id = "beginPairing",
    request_body(content = Body),
    responses(
        (status = 201, description = "All that a device needs to join, the code this once.", body = Begun),
    ),
)]
pub(in crate::http) async fn post(
    caller: Caller,
    request: HttpRequest,
    _: Query<NoQuery>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let Body { seconds } = body::read_json(&request, payload, &services.settings).await?;
    let seconds = seconds.unwrap_or(SECONDS);
    if !(1..=MOST_SECONDS).contains(&seconds) {
        return Err(ApiError::Invalid(format!("seconds: 1 to {MOST_SECONDS}")));
    }
    let broker = &services.broker;
    if !broker.embedded {
        let why = "the broker is not the server's own: its operator lets devices in";
        return Err(ApiError::Invalid(why.to_owned()));
    }
    let code = services.pairing.begin(Duration::from_secs(seconds));
    let code = code.map_err(|error| ApiError::Internal(error.into()))?.reveal();
    tracing::info!(seconds, "pairing is open");
    services.events.record_and_wait(Event::of(Kind::Pairing, &caller.0, "open")).await;
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let (url, prefix) = (encoded(&broker.for_devices), encoded(&broker.prefix));
    let begun = Begun {
        username: "join",
        uri: format!("latchlight://join?broker={url}&prefix={prefix}&code={code}"),
        code,
        seconds,
        broker: broker.for_devices.clone(),
        prefix: broker.prefix.clone(),
    };
    Ok(HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(begun))
}

/// Ends pairing.
#[utoipa::path(
    delete,
    path = "/api/v1/pairing",
    tag = "joining",
    operation_id = "endPairing",
    responses(
        (status = 204, description = "It is closed."),
        (status = 404, description = "It was not open."),
    ),
)]
pub(in crate::http) async fn delete(
    caller: Caller,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    if !services.pairing.close() {
        return Err(ApiError::NotFound("pairing is not open".to_owned()));
    }
    services.events.record_and_wait(Event::of(Kind::Pairing, &caller.0, "close")).await;
    Ok(HttpResponse::NoContent().finish())
}
