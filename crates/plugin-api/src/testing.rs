//! A host that records, to test actions without a server.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;

use crate::{
    ActionError, Call, Caller, CommandOutcome, CommandReport, DeviceKind, DeviceView, Host, Level,
    Selection, Verb,
};

/// Records what an action asks for, and has every command confirmed unless it
/// was told otherwise.
#[derive(Debug, Default)]
pub struct RecordingHost {
    devices: Vec<DeviceView>,
    endings: Vec<(String, String)>,
    refusal: Option<ActionError>,
    asked: RefCell<Vec<Asked>>,
}

/// One thing that an action asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// A command to one device of those that were meant.
    Command(Verb, String),
    /// An alert.
    Alert(String, Value),
    /// A message: topic and payload.
    Publish(String, Vec<u8>),
    /// A line of the log.
    Log(Level, String),
}

impl RecordingHost {
    /// A host without devices.
    pub fn new() -> Self {
        Self::default()
    }

    /// One device more, reachable.
    #[must_use]
    pub fn with_device(mut self, id: &str, kind: DeviceKind, state: &str) -> Self {
        let (id, state) = (id.to_owned(), state.to_owned());
        self.devices.push(DeviceView { id, kind, state, online: true });
        self
    }

    /// Commands to this device end so: `offline`, `failed`, …
    #[must_use]
    pub fn ending(mut self, device: &str, status: &str) -> Self {
        self.endings.push((device.to_owned(), status.to_owned()));
        self
    }

    /// Everything that is asked for, but for the devices, is refused so.
    #[must_use]
    pub fn refusing(mut self, error: ActionError) -> Self {
        self.refusal = Some(error);
        self
    }

    /// What was asked for, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    fn record(&self, asked: Asked) -> Result<(), ActionError> {
        match &self.refusal {
            Some(error) => Err(error.clone()),
            None => {
                self.asked.borrow_mut().push(asked);
                Ok(())
            }
        }
    }

    fn command_one(&self, verb: Verb, device: &DeviceView) -> Result<CommandOutcome, ActionError> {
        self.record(Asked::Command(verb, device.id.clone()))?;
        let ending = self.endings.iter().find(|(id, _)| *id == device.id);
        Ok(CommandOutcome {
            device: device.id.clone(),
            verb,
            command: Some(format!("command-{}", self.asked.borrow().len())),
            status: ending.map_or("confirmed", |(_, status)| status).to_owned(),
            detail: None,
        })
    }
}

impl Host for RecordingHost {
    fn devices(&self) -> Result<Vec<DeviceView>, ActionError> {
        Ok(self.devices.clone())
    }

    fn command(
        &self,
        verb: Verb,
        selection: &Selection,
        _: Duration,
    ) -> Result<CommandReport, ActionError> {
        let meant = |device: &&DeviceView| match selection {
            Selection::All => meaning(verb, device.kind).is_some(),
            Selection::Kind(kind) => device.kind == *kind && meaning(verb, *kind).is_some(),
            Selection::Device(id) => device.id == *id,
        };
        let devices: Vec<_> = self.devices.iter().filter(meant).collect();
        if devices.is_empty() {
            return Err(ActionError::not_found(format!("there is no device to `{verb}`")));
        }
        let outcomes = devices.into_iter().map(|device| {
            let verb = meaning(verb, device.kind)
                .ok_or_else(|| ActionError::bad_input(format!("{} has no `{verb}`", device.id)))?;
            self.command_one(verb, device)
        });
        Ok(CommandReport { outcomes: outcomes.collect::<Result<_, _>>()? })
    }

    fn alert(&self, what: &str, body: &Value) -> Result<(), ActionError> {
        self.record(Asked::Alert(what.to_owned(), body.clone()))
    }

    fn publish(&self, topic: &str, payload: &[u8]) -> Result<(), ActionError> {
        self.record(Asked::Publish(topic.to_owned(), payload.to_vec()))
    }

    fn log(&self, level: Level, message: &str) {
        self.asked.borrow_mut().push(Asked::Log(level, message.to_owned()));
    }
}

/// What a verb means to a kind of device, as in the server.
fn meaning(verb: Verb, kind: DeviceKind) -> Option<Verb> {
    match (kind, verb) {
        (DeviceKind::Lock, Verb::Lock | Verb::Unlock) => Some(verb),
        (DeviceKind::Light, Verb::Lock | Verb::Off) => Some(Verb::Off),
        (DeviceKind::Light, Verb::Unlock | Verb::On) => Some(Verb::On),
        (DeviceKind::Other, Verb::On | Verb::Off) => Some(verb),
        _ => None,
    }
}

/// A call of an app that says this: the first word and the rest.
pub fn call_from_app(text: &str) -> Call {
    call(Caller::App("test".to_owned()), text)
}

/// A call of a device that says this: the first word and the rest.
pub fn call_from_device(device: &str, text: &str) -> Call {
    call(Caller::Device(device.to_owned()), text)
}

fn call(caller: Caller, text: &str) -> Call {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    Call {
        word: word.to_owned(),
        rest: rest.trim().to_owned(),
        caller,
        topic: None,
        received_at_ms: 1_700_000_000_000,
        duplicate: false,
        settings: Value::Null,
    }
}
