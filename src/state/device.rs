//! One device, as the roster holds it and as the API shows it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeviceId, DeviceState};

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// It has a bolt.
    Lock,
    /// It is on or off.
    Light,
    /// It takes pictures.
    Camera,
    /// Anything else that reports or is talked to.
    Other,
}

impl DeviceKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Lock, Self::Light, Self::Camera, Self::Other];

    /// The word, as in `hand_shake lock`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Light => "light",
            Self::Camera => "camera",
            Self::Other => "other",
        }
    }
}

impl FromStr for DeviceKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "lock" => Ok(Self::Lock),
            "light" => Ok(Self::Light),
            "camera" => Ok(Self::Camera),
            "other" => Ok(Self::Other),
            _ => {
                let shown: String = word.chars().take(40).flat_map(char::escape_default).collect();
                Err(format!("`{shown}` is not a kind of device: lock, light, camera or other"))
            }
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a device said in its hand shake that it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Features {
    /// It answers each command with `ack <command> ok` or `ack <command> failed …`.
    #[serde(default)]
    pub ack: bool,
    /// It remembers command ids, so that the same command twice acts once.
    #[serde(default)]
    pub ids: bool,
    /// It wants to be told of alerts.
    #[serde(default)]
    pub alerts: bool,
    /// It checks the signatures of commands, and obeys no other.
    #[serde(default)]
    pub signed: bool,
}

/// A state from before the server's last start: history, not knowledge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LastKnown {
    /// The state.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,32}$", example = "locked")]
    pub state: DeviceState,
    /// When the device came into it.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    pub since: Timestamp,
}

/// A device of the roster, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// What it is.
    pub kind: DeviceKind,
    /// The dialect that it speaks; `words` is this server's own.
    #[schema(example = "words")]
    pub profile: String,
    /// What it can do.
    pub features: Features,
    /// The topic below which it speaks, where it brought its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "house/front-door")]
    pub base_topic: Option<String>,
    /// What it says it is.
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,32}$", example = "locked")]
    pub state: DeviceState,
    /// Since when it is in that state.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    pub since: Timestamp,
    /// What was known before the last start, as long as the state is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_known: Option<LastKnown>,
    /// The charge of its battery, 0 to 100 percent, where it said so.
    #[schema(maximum = 100, example = 87)]
    pub battery: Option<u8>,
    /// Whether it can be reached now.
    #[schema(example = true)]
    pub online: bool,
    /// When it last said anything.
    #[serde(serialize_with = "crate::timestamp::milliseconds_or_null")]
    pub last_heard: Option<Timestamp>,
    /// When it joined.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    pub joined_at: Timestamp,
}
