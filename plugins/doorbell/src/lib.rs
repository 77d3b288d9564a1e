//! `doorbell`: a device says it when its bell is pressed, and everybody gets
//! the alert `doorbell` with the device and the time.
//!
//! An impatient visitor presses often: what comes within `quiet_ms` after a
//! press that raised the alert is taken in silence. Settings in config.json:
//! `{"quiet_ms": 3000}`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use latchlight_plugin_api::serde_json::json;
use latchlight_plugin_api::{
    Action, ActionError, ActionInfo, Answer, Call, Callers, Host, declare_plugin,
};
use serde::Deserialize;

declare_plugin!(Doorbell::default());

/// Rings once for each visitor.
#[derive(Default)]
struct Doorbell {
    /// When each device last raised the alert, in milliseconds since 1970.
    rung: Mutex<HashMap<String, u64>>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    quiet_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { quiet_ms: 3000 }
    }
}

impl Action for Doorbell {
    fn info(&self) -> ActionInfo {
        ActionInfo {
            name: "doorbell".to_owned(),
            description: "Raises the alert `doorbell`: somebody pressed the bell.".to_owned(),
            callers: Callers::DEVICES,
            secret: false,
        }
    }

    fn perform(&self, call: &Call, host: &dyn Host) -> Result<Answer, ActionError> {
        let device = call.device()?;
        let Settings { quiet_ms } = call.settings()?;
        let at = call.received_at_ms;
        if !self.rings(device, at, quiet_ms) {
            return Ok(Answer::text("quiet"));
        }
        let raised = host.alert("doorbell", &json!({ "device": device, "pressed_at_ms": at }));
        if raised.is_err() {
            // Nobody heard it: the next press is to be tried.
            self.lock().remove(device);
        }
        raised.map(|()| Answer::text("rung"))
    }
}

impl Doorbell {
    /// Whether this press is a new visitor; if so, it is noted.
    fn rings(&self, device: &str, at: u64, quiet_ms: u64) -> bool {
        let mut rung = self.lock();
        // A clock that was set back must not silence the bell.
        let quiet = |last: u64| last <= at && at - last < quiet_ms;
        if rung.get(device).is_some_and(|last| quiet(*last)) {
            return false;
        }
        rung.insert(device.to_owned(), at);
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, u64>> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use latchlight_plugin_api::testing::{Asked, RecordingHost, call_from_app, call_from_device};

    use super::*;

    fn press(bell: &Doorbell, host: &RecordingHost, device: &str, at: u64) -> String {
        let call = Call { received_at_ms: at, ..call_from_device(device, "doorbell") };
        bell.perform(&call, host).expect("taken").text.expect("a word")
    }

    #[test]
    fn a_press_raises_the_alert_with_device_and_time() {
        let host = RecordingHost::new();
        assert_eq!(press(&Doorbell::default(), &host, "gate", 10_000), "rung");
        let body = json!({ "device": "gate", "pressed_at_ms": 10_000 });
        assert_eq!(host.asked(), [Asked::Alert("doorbell".to_owned(), body)]);
    }

    #[test]
    fn an_impatient_visitor_rings_once_and_the_next_one_again() {
        let (bell, host) = (Doorbell::default(), RecordingHost::new());
        let presses = [(10_000, "rung"), (12_999, "quiet"), (13_000, "rung"), (5_000, "rung")];
        for (at, said) in presses {
            assert_eq!(press(&bell, &host, "gate", at), said, "at {at}");
        }
        assert_eq!(press(&bell, &host, "back-door", 5_001), "rung");
    }

    #[test]
    fn how_long_it_is_quiet_is_a_setting() {
        let (bell, host) = (Doorbell::default(), RecordingHost::new());
        let mut call = call_from_device("gate", "doorbell");
        call.settings = json!({ "quiet_ms": 0 });
        for _ in 0..2 {
            assert_eq!(bell.perform(&call, &host), Ok(Answer::text("rung")));
        }
        call.settings = json!({ "quite_ms": 0 });
        let error = bell.perform(&call, &host).expect_err("unknown setting");
        assert!(error.message.contains("config.json"), "{error}");
    }

    #[test]
    fn an_alert_that_nobody_heard_silences_no_later_one() {
        let bell = Doorbell::default();
        let deaf = RecordingHost::new().refusing(ActionError::unavailable("no link"));
        let call = call_from_device("gate", "doorbell");
        assert!(bell.perform(&call, &deaf).is_err());
        let host = RecordingHost::new();
        assert_eq!(bell.perform(&call, &host), Ok(Answer::text("rung")));
        assert!(bell.perform(&call_from_app("doorbell"), &host).is_err());
    }
}
