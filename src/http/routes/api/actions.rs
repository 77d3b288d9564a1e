//! `GET /api/v1/actions`: what a message's first word can be; and
//! `POST /api/v1/actions/{name}`: the same as to say it over MQTT, as an app.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::IntoParams;
use utoipa::ToSchema;

use crate::actions::ListedAction;
use crate::http::body::{self, Said};
use crate::http::openapi::{CommandAnswers, IdempotencyKey, IfNoneMatch};
use crate::http::operate::{self, Ask, Wish};
use crate::http::query::{NoQuery, Query, Wait};
use crate::http::{ApiError, Services, etag};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// For how many seconds the answer may wait for the devices.
    #[serde(default)]
    wait: Wait,
}

/// All actions.
#[derive(Serialize, ToSchema)]
#[schema(as = ActionList)]
struct List {
    /// Each of them.
    actions: Vec<ListedAction>,
}

/// What became of an action: it says something, or devices were told.
#[derive(ToSchema)]
#[schema(as = Performed)]
#[serde(untagged)]
#[allow(dead_code)] // Reason: `operate.rs` answers; this describes it.
enum Performed {
    Said(operate::Said<'static>),
    Commands(operate::Body<'static>),
}

/// All actions, built in and from plugins, by name.
#[utoipa::path(
    get,
    path = "/api/v1/actions",
    tag = "plugins",
    operation_id = "listActions",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "All of them.", body = List),
    ),
)]
pub(in crate::http) async fn list(
    request: HttpRequest,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    etag::json(&request, &List { actions: services.registry.list() })
}

/// Performs an action that an app may call, built in or of a plugin.
///
/// The same as to say it over MQTT: the body has what follows the first word,
/// words or one JSON object. Where the action operates devices, the answer is as
/// for any other command; else it has what the action says.
#[utoipa::path(
    post,
    path = "/api/v1/actions/{name}",
    tag = "operate",
    operation_id = "performAction",
    params(("name" = String, Path, description = "The action.", example = "unlock"), Parameters, IdempotencyKey),
    request_body(description = "What follows the first word: words, or one JSON object.", content((Object = "application/json", example = json!({"device": "front-door"})), (String = "text/plain", example = "front-door"))),
    responses(
        CommandAnswers,
        (status = 200, description = "What the action says, or that every device that it told did it.", body = Performed),
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    name: Path<String>,
    query: Query<Parameters>,
    payload: Payload,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    let action = name.into_inner();
    if services.registry.get(&action).is_none() {
        return Err(ApiError::NotFound(
            "there is no such action: `GET /api/v1/actions` lists them".to_owned(),
        ));
    }
    let said = body::read_said(&request, payload, &services.settings).await?;
    let words = match said {
        Said::Words(words) => words,
        Said::Json(json) if json.is_empty() => json,
        Said::Json(json) => {
            body::parse_json::<Map<String, Value>>(&json)?;
            json
        }
    };
    let rest = String::from_utf8(words.into())
        .map_err(|_| ApiError::Malformed("the body is not UTF-8".to_owned()))?;
    let ask = Ask::Perform { action, rest };
    let wish = Wish { route: "POST /api/v1/actions/{name}", ask, wait: query.wait };
    operate::operate(&request, &services, wish).await
}
