//! `hand_shake` of somebody who has shown a join code: it becomes a new
//! device, and is told what it shows from then on.

use latchlight_plugin_api::ActionError;
use serde_json::json;

use super::actor::Parts;
use crate::actions::{Answer, Request};
use crate::events::{Event, Kind};
use crate::identity::{Principal, Who};
use crate::state::DeviceId;

/// The one word that is taken from it.
pub(super) const WORD: &str = "hand_shake";

/// Takes it in: the roster and its credentials are on disk when this is done.
/// What it is told is secret (C30).
pub(super) async fn perform(
    parts: &Parts,
    id: &DeviceId,
    rest: String,
) -> Result<Answer, ActionError> {
    let context = &parts.context;
    if !context.pairing.is_joining(id.as_str()) {
        return Err(ActionError::not_allowed("pairing is over"));
    }
    if context.state.is_known(id.as_str()) || context.credentials.get(id.as_str()).is_some() {
        return Err(ActionError::not_allowed(format!("there is a device {id} already")));
    }
    let action = parts.registry.get(WORD);
    let action = action.ok_or_else(|| ActionError::internal("there is no hand_shake"))?;
    let principal = Principal::over_mqtt(Who::Device(id.clone()));
    let request = Request::new(principal.clone(), WORD, rest);
    action.action.perform(request, context).await?;
    // Whoever has closed pairing meanwhile was told that nobody joins any more.
    // From here on that is too late: before, there are no credentials.
    if !context.pairing.finish(id) {
        let why = "pairing is over";
        take_out(parts, id, why).await;
        return Err(ActionError::not_allowed(why));
    }
    let device = context.state.device(id);
    let kind = device.as_ref().map(|device| device.kind);
    let signed = device.map(|device| device.features.signed);
    let issued = match context.credentials.issue(id, kind, signed).await {
        Ok(issued) => issued,
        Err(error) => {
            // Without credentials it could never come back.
            take_out(parts, id, "its credentials cannot be saved").await;
            context.pairing.take_back(id);
            return Err(ActionError::unavailable(error.to_string()));
        }
    };
    let event = Event::of(Kind::Credential, &principal, "pair").device(id);
    context.events.record(event);
    tracing::info!(device = %id, "device joined by a code");
    let mut told = json!({
        "username": id,
        "password": issued.secret.reveal(),
        "client_id": id,
        "topics": parts.topics.of(id),
    });
    if let Some(key) = issued.command_key {
        told["command_key"] = key.reveal().into();
    }
    Ok(Answer::text(told.to_string()))
}

/// It has not joined after all. That it did is on record by now; so is this.
async fn take_out(parts: &Parts, id: &DeviceId, why: &str) {
    let event = Event::of_server(Kind::Device, "remove").device(id);
    let event = match parts.context.state.remove(id).await {
        Ok(_) => event.detail(&format!("it has not joined after all: {why}")),
        Err(error) => {
            tracing::error!(device = %id, %error, "take it out of the roster again");
            event.failed(&format!("it is in the roster, and has no credentials: {why}"))
        }
    };
    parts.context.events.record_and_wait(event).await;
}
