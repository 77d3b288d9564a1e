//! The devices, as a plugin sees them.

use serde::{Deserialize, Serialize};

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// It has a bolt.
    Lock,
    /// It is on or off.
    Light,
    /// It takes pictures.
    Camera,
    /// Anything else.
    Other,
}

/// A device of the roster at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: DeviceKind,
    /// What it says it is: `locked`, `jammed`, `on`, `unknown`, …
    pub state: String,
    /// Whether it can be reached now.
    pub online: bool,
}
