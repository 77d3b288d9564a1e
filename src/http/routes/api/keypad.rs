//! `POST /api/v1/keypad`: a keypad asks whether a code opens a door; the
//! server says yes and does it, or no.
//!
//! Nothing here says anything of what was typed, and no answer names what
//! cannot be read: it may be the code, in the wrong place.

use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::commands::{CommandHandle, Verb};
use crate::device_interface::{Operation, Selection};
use crate::http::auth::Caller;
use crate::http::connection::Usage;
use crate::http::operate;
use crate::http::query::Wait;
use crate::http::stopping::Stopping;
use crate::http::{ApiError, Services, body};
use crate::identity::Who;
use crate::identity::pins::ShownCode;
use crate::keypads::Wish;
use crate::state::DeviceId;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    code: ShownCode,
    device: DeviceId,
    verb: Verb,
    #[serde(default)]
    wait: Option<f64>,
}

/// Yes is the command's answer, as of any other route; no is always the same.
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
) -> Result<operate::Outcome, ApiError> {
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
    is_tls || is_here
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
