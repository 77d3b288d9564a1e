//! `night_mode`: at the word, every light goes off and every lock locks.
//!
//! The caller is told how many did, and names those that did not, so that
//! nobody goes to bed with an open door and a good word.

use std::time::Duration;

use latchlight_plugin_api::{
    Action, ActionError, ActionInfo, Answer, Call, Callers, CommandReport, DeviceKind, ErrorKind,
    Host, Level, Selection, Verb, declare_plugin,
};

declare_plugin!(NightMode);

/// How long to wait for the devices; the rest is told as not yet done.
const WAIT: Duration = Duration::from_secs(2);

struct NightMode;

impl Action for NightMode {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "night_mode".to_owned(),
            description: "Switches all lights off and locks all locks.".to_owned(),
            callers: Callers::APPS_AND_GRANTED_DEVICES,
            secret: false,
        }
    }

    fn perform(&self, call: &Call, host: &dyn Host) -> Result<Answer, ActionError> {
        if !call.rest.is_empty() {
            return Err(ActionError::bad_input("night_mode: say it alone, it is for the house"));
        }
        // Doors first: a light that stays on is the smaller harm.
        let locks = told(host, Verb::Lock, DeviceKind::Lock)?;
        let lights = told(host, Verb::Off, DeviceKind::Light)?;
        let open: Vec<_> = locks.not_confirmed().chain(lights.not_confirmed()).collect();
        let mut text = format!("{} locked, {} off", locks.confirmed(), lights.confirmed());
        for outcome in &open {
            text.push_str(&format!(", {} {}", outcome.device, outcome.status));
        }
        if !open.is_empty() {
            host.log(Level::Warn, &text);
        }
        Ok(Answer::text(text))
    }
}

/// Tells all devices of a kind; a house without any is no failure.
fn told(host: &dyn Host, verb: Verb, kind: DeviceKind) -> Result<CommandReport, ActionError> {
    match host.command(verb, &Selection::Kind(kind), WAIT) {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(CommandReport::default()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use latchlight_plugin_api::testing::{Asked, RecordingHost, call_from_app};

    use super::*;

    fn house() -> RecordingHost {
        RecordingHost::new()
            .with_device("hall", DeviceKind::Light, "on")
            .with_device("front-door", DeviceKind::Lock, "unlocked")
            .with_device("porch", DeviceKind::Camera, "unknown")
    }

    #[test]
    fn locks_lock_and_lights_go_off() {
        let host = house();
        let answer = NightMode.perform(&call_from_app("night_mode"), &host).expect("done");
        assert_eq!(answer, Answer::text("1 locked, 1 off"));
        let asked = [
            Asked::Command(Verb::Lock, "front-door".to_owned()),
            Asked::Command(Verb::Off, "hall".to_owned()),
        ];
        assert_eq!(host.asked(), asked);
    }

    #[test]
    fn a_door_that_did_not_lock_is_named() {
        let host = house().ending("front-door", "failed");
        let answer = NightMode.perform(&call_from_app("night_mode"), &host).expect("done");
        assert_eq!(answer.text.as_deref(), Some("0 locked, 1 off, front-door failed"));
    }

    #[test]
    fn a_house_without_devices_has_a_quiet_night() {
        let answer = NightMode.perform(&call_from_app("night_mode"), &RecordingHost::new());
        assert_eq!(answer, Ok(Answer::text("0 locked, 0 off")));
    }

    #[test]
    fn what_may_not_be_done_is_said_and_nothing_more_is_tried() {
        let host = house().refusing(ActionError::not_allowed("not granted"));
        let refused = NightMode.perform(&call_from_app("night_mode"), &host);
        assert_eq!(refused, Err(ActionError::not_allowed("not granted")));
        assert!(host.asked().is_empty());
        let error = NightMode.perform(&call_from_app("night_mode off"), &house());
        assert_eq!(error.expect_err("a word too many").kind, ErrorKind::BadInput);
    }
}
