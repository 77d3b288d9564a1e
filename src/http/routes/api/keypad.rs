//! `POST /api/v1/keypad`: a keypad asks whether a code opens a door; the
//! server says yes and does it, or no.
//!
//! Nothing here says anything of what was typed, and no answer names what
//! cannot be read: it may be the code, in the wrong place.

use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::commands::{CommandHandle, Verb};
use crate::device_interface::{Operation, Selection};
use crate::http::auth::Caller;
use crate::http::connection::Usage;
use crate::http::once::Outcome;
use crate::http::openapi::CommandAnswers;
use crate::http::operate;
use crate::http::peer::Peer;
use crate::http::query::Wait;
use crate::http::stopping::Stopping;
use crate::http::{ApiError, Services, body};
use crate::identity::Who;
use crate::identity::pins::ShownCode;
use crate::keypads::Wish;
use crate::state::DeviceId;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TypedCode)]
struct Body {
    /// What was typed.
    #[schema(value_type = String, example = "402863")]
    code: ShownCode,
    /// Which device it is to operate.
    device: DeviceId,
    /// What it is to do.
    verb: Verb,
    /// For how many seconds the answer may wait for the device: 2.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 300, example = 5)]
    wait: Option<f64>,
}

/// A keypad asks whether a code opens a door; yes does it.
///
/// Yes is the command's answer, as of any other route; no is always the same.
/// The keypad shows its own id and password, as over MQTT.
#[utoipa::path(
    post,
    path = "/api/v1/keypad",
    tag = "operate",
    operation_id = "keypad",
    request_body(content = Body),
    responses(
        CommandAnswers,
        (status = 403, description = "No: the code is wrong, or good for nothing here and now; which, is not said. Also where it did not come over TLS."),
        (status = 429, description = "Too many wrong codes: the keypad is paused."),
    ),
)]
pub(in crate::http) async fn post(
    request: HttpRequest,
    Caller(principal): Caller,
    payload: Payload,
    services: Data<Services>,
    stopping: Data<Stopping>,
) -> Result<HttpResponse, ApiError> {
    if !is_private(&request) {
        return Err(ApiError::NotAllowed(
            "codes come over TLS only: whoever was on the way has read this one".to_owned(),
        ));
    }
    let Who::Device(keypad) = principal.who else {
        return Err(ApiError::NotAllowed("only a keypad asks here".to_owned()));
    };
    if !request.query_string().is_empty() || request.headers().contains_key("idempotency-key") {
        return Err(odd());
    }
    if !request.content_type().eq_ignore_ascii_case("application/json") {
        return Err(ApiError::WrongType("Content-Type must be application/json".to_owned()));
    }
    let body = body::read_small(&request, payload, &services.settings).await?;
    let Body { code, device, verb, wait } = body::parse_json(&body).map_err(|_| odd())?;
    let wait = wait.map_or(Some(Wait::default()), Wait::of_seconds).ok_or_else(odd)?;
    let wish = Wish { keypad, address: principal.address, code, device, verb };
    let work = {
        let services = services.clone();
        async move { operate(&services, &stopping, wish, wait).await }
    };
    Ok(services.to_the_end(work).await?.into_response())
}

async fn operate(
    services: &Services,
    stopping: &Stopping,
    wish: Wish,
    wait: Wait,
) -> Result<Outcome, ApiError> {
    let keypads = services.keypads.clone();
    let admitted = keypads.admit(&wish).await?;
    let operation = Operation {
        verb: wish.verb,
        selection: Selection::Device(wish.device),
        principal: admitted.principal.clone(),
        command_id: None,
    };
    let issued = services.handle.operate(operation).await;
    let commands = issued.as_ref().map_or_else(|_| Vec::new(), Vec::clone);
    let following = tokio::spawn(async move { keypads.followed(admitted, commands).await });
    let answer = match &issued {
        Ok(commands) => operate::outcome_of(commands, wait, stopping).await,
        Err(_) => Err(ApiError::Unavailable(String::new())),
    };
    // What has ended is settled before the keypad hears of it.
    let is_over = |command: &CommandHandle| command.snapshot().status.is_ended();
    if issued.as_ref().map_or(true, |commands| commands.iter().all(is_over)) {
        let _ = following.await;
    }
    issued?;
    answer
}

/// Whether nobody on the way can read it: over TLS, or on this machine.
fn is_private(request: &HttpRequest) -> bool {
    let is_tls = request.conn_data::<Usage>().is_some_and(Usage::is_tls);
    let is_here = request.peer_addr().is_none_or(|peer| peer.ip().to_canonical().is_loopback());
    // Behind a proxy that is trusted, the way there counts, too.
    (is_tls || is_here) && Peer::of(request).is_private()
}

fn odd() -> ApiError {
    ApiError::Malformed(
        "no query, no Idempotency-Key, and a body such as {\"code\": \"…\", \"device\": \
         \"front-door\", \"verb\": \"unlock\", \"wait\": 10}: the code a text, the rest of it as in \
         docs/keypads.md"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn c22_a_plain_connection_from_afar_is_not_private() {
        let from = |peer: &str| {
            let peer = peer.parse().expect("an address");
            is_private(&TestRequest::default().peer_addr(peer).to_http_request())
        };
        assert!(from("127.0.0.1:1") && from("[::1]:1") && from("[::ffff:127.0.0.1]:1"));
        assert!(!from("192.0.2.1:1") && !from("[2001:db8::1]:1") && !from("10.0.0.1:1"));
        // What a proxy says of where a request comes from changes nothing.
        let peer = "192.0.2.1:1".parse().expect("an address");
        let told = TestRequest::default().peer_addr(peer);
        let told = told.insert_header(("x-forwarded-for", "127.0.0.1"));
        let told = told.insert_header(("forwarded", "for=127.0.0.1;proto=https"));
        assert!(!is_private(&told.to_http_request()));
    }
}
