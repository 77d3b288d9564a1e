//! `hand_shake <kind> [{"profile": …, "features": […], "base": …}]`: a device
//! joins, and says so again at each of its starts. Answered when the roster
//! on disk has it.

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo, Callers};
use serde::Deserialize;

use super::request::parse;
use super::{Action, Answer, Context, Request};
use crate::events::{Event, Kind};
use crate::state::{DeviceKind, DeviceState, Features, Joining, StateError};

pub(super) struct HandShake;

/// What may follow the kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Offer {
    profile: Option<Profile>,
    features: Vec<Feature>,
    base: Option<String>,
}

/// The dialects that are spoken here.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Profile {
    Words,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Feature {
    Ack,
    Ids,
    Alerts,
    Signed,
}

#[async_trait]
impl Action for HandShake {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "hand_shake".to_owned(),
            description: "A device joins: its kind, and what it can do.".to_owned(),
            callers: Callers::UNJOINED_DEVICES,
            // From the next version on its answer may carry credentials.
            secret: true,
        }
    }

    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError> {
        let id = request.device()?;
        let rest = request.rest.as_str();
        let (kind, json) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        if kind.is_empty() {
            return Err(ActionError::bad_input(
                "hand_shake: say what you are: `hand_shake lock`, light, camera or other",
            ));
        }
        let kind: DeviceKind =
            kind.parse().map_err(|error| ActionError::bad_input(format!("hand_shake: {error}")))?;
        let offer: Offer = match json.trim() {
            "" => Offer::default(),
            json => parse("hand_shake", json)?,
        };
        if let Some(settled) = context.credentials.get(id.as_str()).and_then(|kept| kept.kind)
            && settled != kind
        {
            return Err(ActionError::not_allowed(format!(
                "its credentials are those of a {settled}, not of a {kind}"
            )));
        }
        if offer.features.contains(&Feature::Signed)
            && !context.pairing.is_joining(id.as_str())
            && context.credentials.command_key(&id).is_none()
        {
            return Err(ActionError::not_allowed(
                "it wants signed commands and has no key: give it new credentials, with `signed`",
            ));
        }
        let outbox = &context.outbox;
        let _joining = outbox.joining(&id);
        let known = context.state.device(&id);
        outbox.adopt(&id, offer.base.as_deref()).await.map_err(ActionError::bad_input)?;
        let has = |feature| offer.features.contains(&feature);
        let joining = Joining {
            id: id.clone(),
            kind,
            profile: match offer.profile {
                Some(Profile::Words) | None => "words".to_owned(),
            },
            features: Features {
                ack: has(Feature::Ack),
                ids: has(Feature::Ids),
                alerts: has(Feature::Alerts),
                signed: has(Feature::Signed),
            },
            base_topic: offer.base,
        };
        if let Err(error) = context.state.join(joining).await {
            // It goes on as it was.
            let base = known.as_ref().and_then(|known| known.base_topic.as_deref());
            if let Err(error) = outbox.adopt(&id, base).await {
                tracing::error!(device = %id, %error, "go back to its base topic");
            }
            return Err(to_action_error(error));
        }
        let online = outbox.presence(&id);
        if let Some(online) = online
            && context.state.set_online(&id, online)
        {
            context.events.observed(Event::of_presence(&id, online));
        }
        let before = known.as_ref().map(|known| &known.state);
        if let Some(before) = before.filter(|before| **before != DeviceState::Unknown) {
            let event = Event::of(Kind::State, &request.principal, "unknown").device(&id);
            context.events.observed(event.detail(&format!("was {before}, and began anew")));
        }
        if known.is_none() {
            let event = Event::of(Kind::Device, &request.principal, "join").device(&id);
            context.events.record_and_wait(event.detail(kind.as_str())).await;
        }
        tracing::info!(device = %id, %kind, known = known.is_some(), online, "device joined");
        Ok(Answer::done())
    }
}

fn to_action_error(error: StateError) -> ActionError {
    match error {
        StateError::NotSaved(_) => ActionError::unavailable(error.to_string()),
        _ => ActionError::not_allowed(error.to_string()),
    }
}
