//! What a command asks of a device.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::state::{DeviceKind, DeviceState};

/// What a device is told to do. There is no toggle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum Verb {
    /// Move the bolt out.
    Lock,
    /// Move the bolt in.
    Unlock,
    /// Switch on.
    On,
    /// Switch off.
    Off,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 4] = [Self::Lock, Self::Unlock, Self::On, Self::Off];

    /// The word, first in what the device gets.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::On => "on",
            Self::Off => "off",
        }
    }

    /// What this verb means to a kind of device: a light that is told `lock`
    /// goes off, one that is told `unlock` goes on; a camera has no verb.
    pub fn meaning_for(self, kind: DeviceKind) -> Option<Self> {
        match (kind, self) {
            (DeviceKind::Lock, Self::Lock | Self::Unlock) => Some(self),
            (DeviceKind::Light, Self::Off | Self::Lock) => Some(Self::Off),
            (DeviceKind::Light, Self::On | Self::Unlock) => Some(Self::On),
            (DeviceKind::Other, Self::On | Self::Off) => Some(self),
            (DeviceKind::Lock | DeviceKind::Camera | DeviceKind::Other, _) => None,
        }
    }

    /// The verb that undoes this one.
    pub fn opposite(self) -> Self {
        match self {
            Self::Lock => Self::Unlock,
            Self::Unlock => Self::Lock,
            Self::On => Self::Off,
            Self::Off => Self::On,
        }
    }

    /// The state of a device that has done it.
    pub fn wanted(self) -> DeviceState {
        match self {
            Self::Lock => DeviceState::Locked,
            Self::Unlock => DeviceState::Unlocked,
            Self::On => DeviceState::On,
            Self::Off => DeviceState::Off,
        }
    }
}

impl FromStr for Verb {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == word).ok_or_else(|| {
            let shown: String = word.chars().take(40).flat_map(char::escape_default).collect();
            format!("`{shown}` is not something a device does: lock, unlock, on or off")
        })
    }
}

impl TryFrom<String> for Verb {
    type Error = String;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        word.parse()
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_that_is_told_lock_goes_off() {
        assert_eq!(Verb::Lock.meaning_for(DeviceKind::Light), Some(Verb::Off));
        assert_eq!(Verb::Unlock.meaning_for(DeviceKind::Light), Some(Verb::On));
    }

    #[test]
    fn a_lock_is_not_switched_and_a_camera_does_nothing() {
        assert_eq!(Verb::On.meaning_for(DeviceKind::Lock), None);
        assert_eq!(Verb::Off.meaning_for(DeviceKind::Lock), None);
        for verb in Verb::ALL {
            assert_eq!(verb.meaning_for(DeviceKind::Camera), None);
        }
    }

    #[test]
    fn there_is_no_toggle() {
        assert!("toggle".parse::<Verb>().is_err());
        assert!("LOCK".parse::<Verb>().is_err());
    }
}
