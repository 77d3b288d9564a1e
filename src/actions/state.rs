//! `state <word> [{"battery": 0-100, "tamper": true}]`: a device says what it
//! is. Never answered.

use async_trait::async_trait;
use latchlight_plugin_api::{ActionError, ActionInfo, Callers};
use serde::Deserialize;
use serde_json::json;

use super::request::parse;
use super::{Action, Answer, Context, Request};
use crate::events::{Event, Kind};
use crate::state::{DeviceId, DeviceState};
use crate::timestamp;

pub(super) struct StateAction;

/// What may follow the word.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct More {
    battery: Option<u8>,
    tamper: bool,
}

#[async_trait]
impl Action for StateAction {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "state".to_owned(),
            description: "A device says its state; a lock's state changes in no other way."
                .to_owned(),
            callers: Callers::DEVICES,
            secret: false,
        }
    }

    async fn perform(&self, request: Request, context: &Context) -> Result<Answer, ActionError> {
        let id = request.device()?;
        let rest = request.rest.as_str();
        let (word, json) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let more: More = match json.trim() {
            "" => More::default(),
            json => parse("state", json)?,
        };
        if more.battery.is_some_and(|battery| battery > 100) {
            return Err(ActionError::bad_input("state: battery is 0 to 100 percent"));
        }
        let before = context.state.device(&id).map(|device| device.state.clone());
        let state = context
            .state
            .report(&id, word, more.battery)
            .map_err(|error| ActionError::bad_input(error.to_string()))?;
        if before.as_ref() != Some(&state) {
            let event = Event::of(Kind::State, &request.principal, state.as_str()).device(&id);
            let before = before.as_ref().map_or("unknown", DeviceState::as_str);
            let battery = more.battery.map(|battery| format!(", battery {battery} %"));
            let battery = battery.unwrap_or_default();
            context.events.observed(event.detail(&format!("was {before}{battery}")));
        }
        context.commands.observe(&id, state.clone());
        if state == DeviceState::Jammed && before != Some(DeviceState::Jammed) {
            alert("jammed", &id, context).await;
        }
        if more.tamper {
            alert("tamper", &id, context).await;
        }
        Ok(Answer::done())
    }
}

async fn alert(what: &str, device: &DeviceId, context: &Context) {
    let body = json!({ "device": device, "at": timestamp::now() });
    if let Err(error) = context.outbox.alert(what, body).await {
        tracing::error!(%device, %error, alert = what, "raise an alert");
    }
}
