//! What a plugin asks of the server during one call, checked against what
//! config.json grants, and done in time or not at all.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use latchlight_plugin_api::boundary::{HostRequest, Outcome};
use latchlight_plugin_api::{self as api, ActionError, Call, CommandOutcome, Level};
use serde::Serialize;
use serde_json::Value;
use tokio::runtime::Handle;

use super::loader::Asked;
use super::plugin::Plugin;
use super::server_services::to_api;
use crate::commands::Verb;
use crate::events::{Event, Events, Kind};
use crate::identity::{Permissions, Principal, Who};
use crate::state::{Device, DeviceId, DeviceKind};

/// The most characters of a plugin's line that are logged.
const LONGEST_LINE: usize = 1000;

/// The server, as a plugin sees it during one call.
pub(super) struct CallHost<'a> {
    pub(super) plugin: &'a Plugin,
    pub(super) call: &'a Call,
    pub(super) rights: Rights,
    pub(super) deadline: Instant,
    pub(super) runtime: Handle,
}

/// What whoever calls may do by a plugin.
pub(super) struct Rights {
    pub(super) principal: Principal,
    pub(super) permissions: Permissions,
    pub(super) events: Events,
}

impl Asked for CallHost<'_> {
    fn answer(&self, request: &[u8]) -> Vec<u8> {
        match serde_json::from_slice(request) {
            Ok(HostRequest::Devices) => bytes(self.in_time().map(|_| self.devices())),
            Ok(HostRequest::Command { verb, selection, wait_ms }) => {
                bytes(self.command(from_api(verb), selection, Duration::from_millis(wait_ms)))
            }
            Ok(HostRequest::Alert { what, body }) => bytes(self.alert(&what, body)),
            Ok(HostRequest::Publish { topic, payload }) => bytes(self.publish(&topic, payload)),
            Ok(HostRequest::Log { level, message }) => {
                bytes(self.in_time().map(|_| self.log(level, &message)))
            }
            Err(error) => {
                let what = format!("this server does not know the request: {error}");
                bytes(Err::<(), _>(ActionError::bad_input(what)))
            }
        }
    }
}

impl CallHost<'_> {
    /// The time that a request may take: half of what the call has left, so
    /// that no request of its own sends a plugin into quarantine.
    fn in_time(&self) -> Result<Duration, ActionError> {
        self.plugin.check_quarantine()?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ActionError::unavailable("the call's time is over"));
        }
        Ok(left / 2)
    }

    /// Waits for the server, on the plugin's own thread.
    fn wait_for<T>(
        &self,
        time: Duration,
        work: impl Future<Output = Result<T, ActionError>>,
    ) -> Result<T, ActionError> {
        self.runtime.block_on(async {
            tokio::time::timeout(time, work).await.unwrap_or_else(|_| {
                Err(ActionError::unavailable("the server did not answer in time"))
            })
        })
    }

    fn devices(&self) -> Vec<api::DeviceView> {
        let devices = self.plugin.services.devices();
        devices
            .iter()
            .filter(|device| self.may_see(&device.id))
            .map(|device| view(device))
            .collect()
    }

    /// A plugin is no way to learn of a device that whoever calls may not see.
    /// A device that calls sees itself alone, and needs a plugin to know more.
    fn may_see(&self, device: &DeviceId) -> bool {
        let Rights { principal, permissions, .. } = &self.rights;
        let by_caller = match &principal.who {
            Who::Account { .. } => permissions.may_see(principal, device),
            _ => true,
        };
        by_caller && self.plugin.allowed.grants.may_see(device)
    }

    fn command(
        &self,
        verb: Verb,
        selection: api::Selection,
        wait: Duration,
    ) -> Result<api::CommandReport, ActionError> {
        let time = self.in_time()?;
        if self.call.duplicate {
            return Err(ActionError::bad_input(
                "this may have been delivered before; say it anew to have devices operated",
            ));
        }
        let alone = matches!(selection, api::Selection::Device(_));
        let meant = self.select(verb, &selection)?;
        // Some time is left to answer when the wait is over.
        let wait = wait.min(time * 3 / 4);
        let each = meant.iter().map(|(verb, device)| async move {
            let issued = match self.may_command(*verb, device) {
                Ok(()) => {
                    self.note_caller(*verb, device);
                    let services = &self.plugin.services;
                    services.command(self.plugin.name(), *verb, &device.id, wait).await
                }
                Err(error) => Err(error),
            };
            match issued {
                Err(error) if !alone => Ok(not_issued(*verb, device, error)),
                issued => issued,
            }
        });
        let all = async { join_all(each).await.into_iter().collect::<Result<Vec<_>, _>>() };
        Ok(api::CommandReport { outcomes: self.wait_for(time, all)? })
    }

    /// The devices that are meant, and what the verb means to each.
    fn select(
        &self,
        verb: Verb,
        selection: &api::Selection,
    ) -> Result<Vec<(Verb, Arc<Device>)>, ActionError> {
        let mut devices = self.plugin.services.devices();
        if let api::Selection::Device(id) = selection
            && let Ok(id) = id.parse::<DeviceId>()
            && !self.plugin.allowed.grants.may_see(&id)
        {
            return Err(self.refuse_command(verb, &id));
        }
        devices.retain(|device| self.may_see(&device.id));
        match selection {
            api::Selection::All => {}
            api::Selection::Kind(kind) => devices.retain(|d| kind_to_api(d.kind) == *kind),
            api::Selection::Device(id) => devices.retain(|device| device.id.as_str() == id),
        }
        let known = !devices.is_empty();
        let meaning = |device: Arc<Device>| Some((verb.meaning_for(device.kind)?, device));
        let meant: Vec<_> = devices.into_iter().filter_map(meaning).collect();
        match selection {
            _ if !meant.is_empty() => Ok(meant),
            api::Selection::Device(id) if known => {
                Err(ActionError::bad_input(format!("{id} is not a device that can `{verb}`")))
            }
            api::Selection::Device(id) => {
                Err(ActionError::not_found(format!("there is no device {}", id.escape_debug())))
            }
            _ => Err(ActionError::not_found(format!("there is no device to `{verb}`"))),
        }
    }

    /// The plugin needs a grant, and whoever calls it the right to have done
    /// by a plugin what it asks for: a plugin is no way around rule 7.
    fn may_command(&self, verb: Verb, device: &Device) -> Result<(), ActionError> {
        if !self.plugin.allowed.grants.may_command(verb, &device.id) {
            return Err(self.refuse_command(verb, &device.id));
        }
        let Rights { principal, permissions, events } = &self.rights;
        permissions.may_operate(principal, verb, device).map_err(|why| {
            self.plugin.tally.refused();
            let (plugin, caller) = (self.plugin.name(), &self.call.caller);
            tracing::warn!(plugin, %caller, %verb, device = %device.id, %why, "a plugin's caller is refused");
            let event = Event::of(Kind::Refusal, principal, verb.as_str()).device(&device.id);
            events.refused(event.refused(&format!("by the plugin {plugin}: {why}")));
            ActionError::not_allowed(why)
        })
    }

    /// The command is the plugin's; who had it asked for that is an event more.
    fn note_caller(&self, verb: Verb, device: &Device) {
        let Rights { principal, events, .. } = &self.rights;
        let event = Event::of(Kind::Plugin, principal, verb.as_str()).device(&device.id);
        let (plugin, action) = (self.plugin.name(), &self.call.word);
        events.record(event.detail(&format!("asked for by the plugin {plugin}, as `{action}`")));
    }

    fn alert(&self, what: &str, body: Value) -> Result<(), ActionError> {
        let time = self.in_time()?;
        if !self.plugin.allowed.grants.may_alert(what) {
            return Err(self.refuse(
                "alert",
                None,
                &format!("the alert `{}`", what.escape_debug()),
            ));
        }
        self.wait_for(time, self.plugin.services.alert(what, body))
    }

    fn publish(&self, topic: &str, payload: Vec<u8>) -> Result<(), ActionError> {
        let time = self.in_time()?;
        if !self.plugin.allowed.grants.may_publish(topic) {
            return Err(self.refuse(
                "publish",
                None,
                &format!("the topic `{}`", topic.escape_debug()),
            ));
        }
        self.wait_for(time, self.plugin.services.publish(topic, payload))
    }

    fn refuse_command(&self, verb: Verb, device: &DeviceId) -> ActionError {
        self.refuse(verb.as_str(), Some(device), &format!("`{verb}` {device}"))
    }

    fn refuse(&self, asked: &str, device: Option<&DeviceId>, what: &str) -> ActionError {
        self.plugin.tally.refused();
        let (plugin, action) = (self.plugin.name(), &self.call.word);
        tracing::warn!(plugin, %action, what, "a plugin asks for what it is not granted");
        let event = Event::of(Kind::Refusal, &Principal::plugin(plugin), asked);
        let event = device.into_iter().fold(event, Event::device);
        let why = format!("{what} is not granted; {} called `{action}`", self.rights.principal);
        self.rights.events.refused(event.refused(&why));
        ActionError::not_allowed(format!("config.json does not grant the plugin {plugin} {what}"))
    }

    fn log(&self, level: Level, message: &str) {
        let said: String = message.chars().take(LONGEST_LINE).collect();
        let (plugin, action) = (self.plugin.name(), &self.call.word);
        match level {
            Level::Error => tracing::error!(plugin, %action, ?said, "a plugin says"),
            Level::Warn => tracing::warn!(plugin, %action, ?said, "a plugin says"),
            Level::Info => tracing::info!(plugin, %action, ?said, "a plugin says"),
            Level::Debug => tracing::debug!(plugin, %action, ?said, "a plugin says"),
        }
    }
}

fn bytes<T: Serialize>(result: Result<T, ActionError>) -> Vec<u8> {
    Outcome::from(result).to_bytes()
}

fn not_issued(verb: Verb, device: &Device, error: ActionError) -> CommandOutcome {
    let refused = error.kind == api::ErrorKind::NotAllowed;
    CommandOutcome {
        device: device.id.to_string(),
        verb: to_api(verb),
        command: None,
        status: if refused { "refused" } else { "not_issued" }.to_owned(),
        detail: Some(error.message),
    }
}

fn view(device: &Device) -> api::DeviceView {
    api::DeviceView {
        id: device.id.to_string(),
        kind: kind_to_api(device.kind),
        state: device.state.to_string(),
        online: device.online,
    }
}

fn kind_to_api(kind: DeviceKind) -> api::DeviceKind {
    match kind {
        DeviceKind::Lock => api::DeviceKind::Lock,
        DeviceKind::Light => api::DeviceKind::Light,
        DeviceKind::Camera => api::DeviceKind::Camera,
        DeviceKind::Other => api::DeviceKind::Other,
    }
}

fn from_api(verb: api::Verb) -> Verb {
    match verb {
        api::Verb::Lock => Verb::Lock,
        api::Verb::Unlock => Verb::Unlock,
        api::Verb::On => Verb::On,
        api::Verb::Off => Verb::Off,
    }
}
