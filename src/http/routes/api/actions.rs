//! `GET /api/v1/actions`: what a message's first word can be; and
//! `POST /api/v1/actions/{name}`: the same as to say it over MQTT, as an app.

use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::http::body::{self, Said};
use crate::http::operate::{self, Ask, Wish};
use crate::http::query::{NoQuery, Wait};
use crate::http::{ApiError, Services, etag};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Parameters {
    #[serde(default)]
    wait: Wait,
}

/// All actions, built in and from plugins, by name.
pub(in crate::http) async fn list(
    request: HttpRequest,
    _: Query<NoQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, ApiError> {
    etag::json(&request, &json!({ "actions": services.registry.list() }))
}

/// Performs an action that an app may call, built in or of a plugin. The body
/// has what follows the first word: words, or one JSON object.
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
