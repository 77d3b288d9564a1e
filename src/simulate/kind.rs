//! The kinds of simulated devices and what each does at which verb.
use std::fmt;
use std::time::Duration;

use crate::simulate::command::Verb;

/// How long a light takes to switch.
const SWITCHING: Duration = Duration::from_millis(20);

/// A kind of device, as it stands in a hand shake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Lock,
    Light,
    Camera,
}

/// What a device does at a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Movement {
    /// The state while it goes on, if that has a name.
    pub(super) during: Option<&'static str>,
    /// The state when it is done.
    pub(super) after: &'static str,
    /// How long it takes.
    pub(super) takes: Duration,
}

impl Kind {
    /// The state in which a device leaves the factory. A camera has none to tell.
    pub(super) fn first_state(self) -> Option<&'static str> {
        match self {
            Self::Lock => Some("locked"),
            Self::Light => Some("off"),
            Self::Camera => None,
        }
    }

    /// What the verb makes the device do; None: it cannot do that. `motor` is how long a lock
    /// takes.
    pub(super) fn movement(self, verb: Verb, motor: Duration) -> Option<Movement> {
        let (during, after, takes) = match (self, verb) {
            (Self::Lock, Verb::Lock) => (Some("locking"), "locked", motor),
            (Self::Lock, Verb::Unlock) => (Some("unlocking"), "unlocked", motor),
            (Self::Light, Verb::On) => (None, "on", SWITCHING),
            (Self::Light, Verb::Off) => (None, "off", SWITCHING),
            _ => return None,
        };
        Some(Movement { during, after, takes })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Lock => "lock",
            Self::Light => "light",
            Self::Camera => "camera",
        })
    }
}
