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
    let device = context.state.device(id);
    let kind = device.as_ref().map(|device| device.kind);
    let signed = device.map(|device| device.features.signed);
    let issued = match context.credentials.issue(id, kind, signed).await {
        Ok(issued) => issued,
        Err(error) => {
            // Without credentials it could never come back.
            take_out(parts, id).await;
            return Err(ActionError::unavailable(error.to_string()));
        }
    };
    // Whoever has closed pairing meanwhile was told that nobody joins any more.
    if !context.pairing.finish(id) {
        if let Err(error) = context.credentials.revoke(id).await {
            tracing::error!(device = %id, %error, "revoke what nobody was told");
        }
        take_out(parts, id).await;
        return Err(ActionError::not_allowed("pairing is over"));
    }
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

/// It has not joined after all.
async fn take_out(parts: &Parts, id: &DeviceId) {
    if let Err(error) = parts.context.state.remove(id).await {
        tracing::error!(device = %id, %error, "take it out of the roster again");
    }
}
