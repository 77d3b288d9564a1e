//! `POST /test`: lock or unlock as the body says.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::commands::Verb;
use crate::device_interface::Selection;
use crate::http::body::Said;
use crate::http::openapi::{CommandAnswers, IdempotencyKey};
use crate::http::operate::{self, Ask, Wish};
use crate::http::query::{Query, Wait};
use crate::http::{ApiError, Services, body};
use crate::state::DeviceId;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// For how many seconds the answer may wait for the devices.
    #[serde(default)]
    wait: Wait,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Test)]
struct Body {
    /// What to do.
    action: Action,
    /// Which device; all of them without.
    device: Option<DeviceId>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TestAction)]
enum Action {
    Lock,
    Unlock,
}

/// Locks or unlocks, as the body says.
///
/// JSON `{"action": "lock", "device": "front-door"}`, or the plain words
/// `lock` or `lock front-door`; without a device, all of them.
#[utoipa::path(
    post,
    path = "/test",
    tag = "operate",
    operation_id = "test",
    params(Parameters, IdempotencyKey),
    request_body(content((Body = "application/json"), (String = "text/plain", example = "lock front-door"))),
    responses(
        CommandAnswers,
        (status = 404, description = "There is no such device."),
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    query: Query<Parameters>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let said = body::read_said(&request, payload, &services.settings).await?;
    let Body { action, device } = match &said {
        Said::Json(json) => body::parse_json(json)?,
        Said::Words(words) => parse_words(words)?,
    };
    let verb = match action {
        Action::Lock => Verb::Lock,
        Action::Unlock => Verb::Unlock,
    };
    let selection = device.map_or(Selection::All, Selection::Device);
    let ask = Ask::Operate { verb, selection, command_id: None };
    let wish = Wish { route: "POST /test", ask, wait: query.wait };
    operate::operate(&request, &services, wish).await
}

fn parse_words(words: &[u8]) -> Result<Body, ApiError> {
    let usage = || {
        ApiError::Invalid(
            "the body is `lock` or `unlock`, alone or with a device, or JSON such as \
             {\"action\": \"lock\", \"device\": \"front-door\"}"
                .to_owned(),
        )
    };
    let words = std::str::from_utf8(words).map_err(|_| usage())?;
    let mut words = words.split_ascii_whitespace();
    let action = match words.next() {
        Some("lock") => Action::Lock,
        Some("unlock") => Action::Unlock,
        _ => return Err(usage()),
    };
    let device = words.next().map(str::parse).transpose();
    let device = device.map_err(|error: crate::state::InvalidDeviceId| {
        ApiError::Invalid(format!("device: {error}"))
    })?;
    if words.next().is_some() {
        return Err(usage());
    }
    Ok(Body { action, device })
}
