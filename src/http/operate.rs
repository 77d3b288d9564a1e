//! From a request that operates devices, or has an action performed, to its
//! answer.
//!
//! One device: 200 confirmed, 202 pending with a link, 409 any other ending.
//! Several: 200 all confirmed, 202 some pending, 207 all ended, but not all
//! confirmed. An action that commands no device itself: 200, with what it says.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Caller;
use super::command_view::CommandView;
use super::once::{self, Asked, Outcome};
use super::query::Wait;
use super::stopping::Stopping;
use super::{ApiError, Services};
use crate::actions::{Answer, Request};
use crate::commands::{Command, CommandHandle, CommandId, Status, Verb};
use crate::device_interface::{Operation, Selection};
use crate::identity::Principal;
use crate::state::{DeviceId, DeviceKind};

/// The query of the routes that operate devices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Target {
    /// This one alone.
    device: Option<DeviceId>,
    /// All that are of this kind.
    kind: Option<DeviceKind>,
    /// For how many seconds the answer may wait for the devices.
    #[serde(default)]
    wait: Wait,
}

/// What an app wants done, as a route has read it.
#[derive(Debug)]
pub(super) struct Wish {
    /// Method and pattern of the route; an Idempotency-Key counts for it only.
    pub(super) route: &'static str,
    pub(super) ask: Ask,
    pub(super) wait: Wait,
}

/// What is asked for.
#[derive(Debug)]
pub(super) enum Ask {
    /// Devices do something.
    Operate { verb: Verb, selection: Selection, command_id: Option<CommandId> },
    /// An action is performed, with these words or this JSON object.
    Perform { action: String, rest: String },
}

#[derive(Serialize, ToSchema)]
#[schema(as = CommandOutcomes)]
pub(super) struct Body<'a> {
    /// The command of each device.
    devices: Vec<CommandView<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Said)]
pub(super) struct Said<'a> {
    /// What it says, if anything.
    #[schema(example = "the house is locked", required = true)]
    text: Option<&'a str>,
}

/// Operates devices, once per Idempotency-Key.
pub(super) async fn operate(
    request: &HttpRequest,
    services: &Data<Services>,
    wish: Wish,
) -> Result<HttpResponse, ApiError> {
    let Caller(principal) = Caller::of(request)?;
    let stopping = request.app_data::<Data<Stopping>>().cloned();
    let stopping = stopping
        .ok_or_else(|| ApiError::Internal(anyhow::anyhow!("nobody told how the server stops")))?;
    let asked = Asked { route: wish.route, fingerprint: wish.fingerprint() };
    // A plugin's action may have told devices before it failed.
    let may_half_fail = matches!(wish.ask, Ask::Perform { .. });
    let (own, asker) = (services.clone(), principal.clone());
    let work = async move { perform(&own, &stopping, &asker, wish).await };
    let outcome = once::perform(request, services, &principal, asked, may_half_fail, work).await?;
    Ok(outcome.into_response())
}

async fn perform(
    services: &Services,
    stopping: &Stopping,
    principal: &Principal,
    wish: Wish,
) -> Result<Outcome, ApiError> {
    let answer = match wish.ask {
        Ask::Operate { verb, selection, command_id } => {
            let principal = principal.clone();
            let operation = Operation { verb, selection, principal, command_id };
            Answer::commands(services.handle.operate(operation).await?)
        }
        Ask::Perform { action, rest } => {
            services.handle.perform(Request::new(principal.clone(), &action, rest)).await?
        }
    };
    let internal = |error: serde_json::Error| ApiError::Internal(error.into());
    let handles = answer.commands;
    if handles.is_empty() {
        let said = serde_json::to_string(&Said { text: answer.text.as_deref() });
        let body = said.map_err(internal)?;
        return Ok(Outcome::new(StatusCode::OK, body));
    }
    outcome_of(&handles, wish.wait, stopping).await
}

/// What became of commands, after so long at the most.
pub(super) async fn outcome_of(
    handles: &[CommandHandle],
    patience: Wait,
    stopping: &Stopping,
) -> Result<Outcome, ApiError> {
    tokio::select! {
        () = wait(handles, patience) => {}
        () = stopping.hurry() => {}
    }
    let commands: Vec<_> = handles.iter().map(CommandHandle::snapshot).collect();
    let devices = commands.iter().map(CommandView::of).collect();
    let body = serde_json::to_string(&Body { devices });
    let body = body.map_err(|error| ApiError::Internal(error.into()))?;
    Ok(Outcome::new(status_of(&commands), body))
}

/// Waits until all have ended, as long as the app wants to, and never past
/// their expiry.
async fn wait(handles: &[CommandHandle], Wait(wait): Wait) {
    let left = handles.iter().filter_map(CommandHandle::left).max();
    let left = left.unwrap_or_default();
    let ended = join_all(handles.iter().map(CommandHandle::ended));
    let _ = tokio::time::timeout(wait.min(left), ended).await;
}

fn status_of(commands: &[Command]) -> StatusCode {
    let confirmed = commands.iter().all(|command| command.status == Status::Confirmed);
    let ended = commands.iter().all(|command| command.status.is_ended());
    match (confirmed, ended, commands.len()) {
        (true, _, _) => StatusCode::OK,
        (false, false, _) => StatusCode::ACCEPTED,
        (false, true, 1) => StatusCode::CONFLICT,
        (false, true, _) => StatusCode::MULTI_STATUS,
    }
}

impl Target {
    pub(super) fn into_wish(self, route: &'static str, verb: Verb) -> Result<Wish, ApiError> {
        let selection = match (self.device, self.kind) {
            (None, None) => Selection::All,
            (Some(device), None) => Selection::Device(device),
            (None, Some(kind)) => Selection::Kind(kind),
            (Some(_), Some(_)) => {
                return Err(ApiError::Malformed("query: a device or a kind, not both".to_owned()));
            }
        };
        let ask = Ask::Operate { verb, selection, command_id: None };
        Ok(Wish { route, ask, wait: self.wait })
    }
}

impl Wish {
    /// What must be the same when a key comes again; not how long the app
    /// waits.
    fn fingerprint(&self) -> Vec<u8> {
        let route = self.route;
        let asked = match &self.ask {
            Ask::Operate { verb, selection, command_id } => {
                format!("{route} {verb} {selection:?} {command_id:?}")
            }
            Ask::Perform { action, rest } => format!("{route} {action} {rest}"),
        };
        asked.into_bytes()
    }
}
