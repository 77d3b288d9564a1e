//! What `lock`, `unlock`, `on` and `off` share: from words to commands.

use std::sync::Arc;

use latchlight_plugin_api::ActionError;
use serde::Deserialize;

use super::request::parse;
use super::{Answer, Context, Request, Rest};
use crate::commands::{CommandId, IssueError, Order, Verb};
use crate::events::{Event, Kind};
use crate::state::{Device, DeviceId, DeviceKind};

/// The devices that are meant, and the id of the command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Target {
    device: Option<DeviceId>,
    kind: Option<DeviceKind>,
    id: Option<CommandId>,
}

/// Issues a command to each device that is meant.
pub(super) async fn operate(
    verb: Verb,
    request: &Request,
    context: &Context,
) -> Result<Answer, ActionError> {
    let target = Target::of(request)?;
    if request.duplicate && target.id.is_none() {
        return Err(ActionError::bad_input(format!(
            "{verb}: this may have been delivered before; say it anew, or give it a command id"
        )));
    }
    let devices = target.devices(verb, request, context)?;
    let orders = devices.iter().map(|device| order(verb, device, &target, request, context));
    match context.commands.issue(orders.collect()).await {
        Ok(commands) => Ok(Answer::commands(commands)),
        Err(error) => {
            if let IssueError::TooFast(why) = &error {
                let event = Event::of(Kind::Refusal, &request.principal, verb.as_str());
                context.events.refused(event.refused(&why.to_string()));
            }
            Err(to_action_error(error))
        }
    }
}

fn order(
    verb: Verb,
    device: &Device,
    target: &Target,
    request: &Request,
    context: &Context,
) -> Order {
    let verb = verb.meaning_for(device.kind).unwrap_or(verb);
    Order {
        id: target.id,
        device: device.id.clone(),
        verb,
        principal: request.principal.clone(),
        refused: context.permissions.may_operate(&request.principal, verb, device).err(),
    }
}

fn to_action_error(error: IssueError) -> ActionError {
    match error {
        IssueError::IdTaken(_) => ActionError::bad_input(error.to_string()),
        IssueError::TooFast(ref why) => ActionError::too_soon(why.seconds(), error.to_string()),
        IssueError::Journal(_) | IssueError::Stopping => {
            ActionError::unavailable(error.to_string())
        }
    }
}

impl Target {
    fn of(request: &Request) -> Result<Self, ActionError> {
        let word = &request.word;
        let target: Self = match request.rest() {
            Rest::Json(json) => parse(word, json)?,
            Rest::Words(words) => match words.as_slice() {
                [] => Self::default(),
                [device] => Self { device: Some(device_id(word, device)?), ..Self::default() },
                [device, id] => Self {
                    device: Some(device_id(word, device)?),
                    id: Some(
                        id.parse()
                            .map_err(|error| ActionError::bad_input(format!("{word}: {error}")))?,
                    ),
                    ..Self::default()
                },
                _ => {
                    return Err(ActionError::bad_input(format!(
                        "{word}: too many words: `{word} <device> [<command id>]`, or `{word}` for all"
                    )));
                }
            },
        };
        if target.device.is_some() && target.kind.is_some() {
            return Err(ActionError::bad_input(format!("{word}: a device or a kind, not both")));
        }
        if target.id.is_some() && target.device.is_none() {
            return Err(ActionError::bad_input(format!("{word}: an id goes with one device")));
        }
        Ok(target)
    }

    fn devices(
        &self,
        verb: Verb,
        request: &Request,
        context: &Context,
    ) -> Result<Vec<Arc<Device>>, ActionError> {
        let is_there = |id: &DeviceId| !context.permissions.is_hidden(&request.principal, id);
        if let Some(id) = &self.device {
            let device = context.state.device(id).filter(|device| is_there(&device.id));
            let device = device.ok_or_else(|| {
                let is_number = id.as_str().bytes().all(|byte| byte.is_ascii_digit());
                ActionError::not_found(if is_number && request.topic.is_some() {
                    // C22: whoever said it may have meant a code.
                    "there is no device of this number, and no PIN code is said over MQTT"
                        .to_owned()
                } else {
                    format!("there is no device {id}")
                })
            })?;
            if verb.meaning_for(device.kind).is_none() {
                let kind = device.kind;
                return Err(ActionError::bad_input(format!("{id} is a {kind}: no `{verb}`")));
            }
            return Ok(vec![device]);
        }
        let mut devices = context.state.devices();
        devices.retain(|device| {
            self.kind.is_none_or(|kind| device.kind == kind)
                && verb.meaning_for(device.kind).is_some()
                && is_there(&device.id)
        });
        if devices.is_empty() {
            let what = self.kind.map_or_else(|| "device".to_owned(), |kind| kind.to_string());
            return Err(ActionError::not_found(format!("there is no {what} to `{verb}`")));
        }
        Ok(devices)
    }
}

fn device_id(word: &str, text: &str) -> Result<DeviceId, ActionError> {
    text.parse().map_err(|error| ActionError::bad_input(format!("{word}: {error}")))
}
