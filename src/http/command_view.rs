//! A command as the API shows it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::commands::{Command, CommandId, Verb};
use crate::identity::View;
use crate::state::DeviceId;

/// A command as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Command)]
pub(super) struct CommandView<'a> {
    /// Which device.
    device: &'a DeviceId,
    /// The command's id.
    command: CommandId,
    /// What it is told to do.
    verb: Verb,
    /// Where it is in its life: `issued`, `sent`, `delivered`, then how it
    /// ended.
    #[schema(example = "confirmed")]
    status: &'static str,
    /// How it ended, in the same word, and `pending` until then.
    #[schema(example = "confirmed")]
    outcome: &'static str,
    /// Why it ended so, where that is known.
    #[schema(example = json!(null))]
    detail: Option<&'a str>,
    /// Who gave it. A guest is told of themselves, and of others what they
    /// are: `app`, `device`, `keypad`, `plugin`.
    #[schema(value_type = String, example = "app:ann")]
    issuer: Cow<'a, str>,
    /// When it was given.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    issued_at: Timestamp,
    /// When the link took it.
    #[serde(serialize_with = "crate::timestamp::milliseconds_or_null")]
    sent_at: Option<Timestamp>,
    /// When the device's system had it; known of the embedded broker only.
    #[serde(serialize_with = "crate::timestamp::milliseconds_or_null")]
    delivered_at: Option<Timestamp>,
    /// When it ended.
    #[serde(serialize_with = "crate::timestamp::milliseconds_or_null")]
    ended_at: Option<Timestamp>,
    /// When it is over, whatever has come by then.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    expires_at: Timestamp,
    /// Where to ask for it.
    #[schema(example = "/api/v1/commands/01a1fd77-9f3c-7c1e-8a55-3d0f6b1c2e4a")]
    link: String,
}

impl<'a> CommandView<'a> {
    /// For whoever gave it.
    pub(super) fn of(command: &'a Command) -> Self {
        Self::seen(command, &View::WHOLE)
    }

    /// For somebody who may know so much.
    pub(super) fn seen(command: &'a Command, view: &View) -> Self {
        let Command { issuer, through, detail, .. } = command;
        let result = command.status.as_str();
        let detail = detail.as_deref().filter(|_| view.tells_why(issuer, result));
        let status = command.status.as_str();
        Self {
            device: &command.device,
            command: command.id,
            verb: command.verb,
            status,
            outcome: if command.status.is_ended() { status } else { "pending" },
            detail,
            issuer: view.actor(issuer, *through),
            issued_at: command.issued_at,
            sent_at: command.sent_at,
            delivered_at: command.delivered_at,
            ended_at: command.ended_at,
            expires_at: command.expires_at,
            link: format!("/api/v1/commands/{}", command.id),
        }
    }
}

/// The link of the one command, or of the message, in an answer; also in an
/// answer that was kept.
pub(super) fn link_to_only(body: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    let only = match body.get("devices") {
        None => &body,
        Some(devices) => match devices.as_array()?.as_slice() {
            [only] => only,
            _ => return None,
        },
    };
    only["link"].as_str().map(str::to_owned)
}
