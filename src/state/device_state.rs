//! What a device says of itself, one word.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::DeviceKind;

/// The state of a device, as the device itself said it.
///
/// `locking`, `unlocking`, `jammed` and `unknown` are states of their own;
/// the server never guesses one from a command that it sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceState {
    /// Nothing was heard since the server (or the device) started.
    #[default]
    Unknown,
    /// A lock's bolt is out.
    Locked,
    /// A lock's bolt is moving out.
    Locking,
    /// A lock's bolt is in.
    Unlocked,
    /// A lock's bolt is moving in.
    Unlocking,
    /// A lock's bolt is stuck.
    Jammed,
    /// A light (or another switch) is on.
    On,
    /// A light (or another switch) is off.
    Off,
    /// Any other word of a device that is neither lock nor light.
    Reported(Arc<str>),
}

/// A word that a device of its kind cannot have as its state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {kind} cannot be `{word}`: {allowed}")]
pub struct InvalidDeviceState {
    kind: DeviceKind,
    word: String,
    allowed: &'static str,
}

impl DeviceState {
    /// Reads the word that a device of `kind` reports.
    ///
    /// # Errors
    /// The word is not among those of that kind; the error lists them.
    pub fn parse(kind: DeviceKind, word: &str) -> Result<Self, InvalidDeviceState> {
        let allowed = match kind {
            DeviceKind::Lock => "locked, locking, unlocked, unlocking, jammed or unknown",
            DeviceKind::Light => "on, off or unknown",
            DeviceKind::Camera | DeviceKind::Other => "one word of 1 to 32 of a-z, 0-9, _ and -",
        };
        let state = match word {
            "unknown" => Some(Self::Unknown),
            "locked" => Some(Self::Locked),
            "locking" => Some(Self::Locking),
            "unlocked" => Some(Self::Unlocked),
            "unlocking" => Some(Self::Unlocking),
            "jammed" => Some(Self::Jammed),
            "on" => Some(Self::On),
            "off" => Some(Self::Off),
            other if is_word(other) => Some(Self::Reported(other.into())),
            _ => None,
        };
        state.filter(|state| state.fits(kind)).ok_or_else(|| InvalidDeviceState {
            kind,
            word: word.chars().take(40).flat_map(char::escape_default).collect(),
            allowed,
        })
    }

    fn fits(&self, kind: DeviceKind) -> bool {
        match kind {
            DeviceKind::Lock => !matches!(self, Self::On | Self::Off | Self::Reported(_)),
            DeviceKind::Light => matches!(self, Self::Unknown | Self::On | Self::Off),
            DeviceKind::Camera | DeviceKind::Other => true,
        }
    }

    /// The word, as in topics, config.json and the API.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unknown => "unknown",
            Self::Locked => "locked",
            Self::Locking => "locking",
            Self::Unlocked => "unlocked",
            Self::Unlocking => "unlocking",
            Self::Jammed => "jammed",
            Self::On => "on",
            Self::Off => "off",
            Self::Reported(word) => word,
        }
    }
}

fn is_word(word: &str) -> bool {
    (1..=32).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for DeviceState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_its_own_words_and_no_others() {
        for word in ["locked", "locking", "unlocked", "unlocking", "jammed", "unknown"] {
            let state = DeviceState::parse(DeviceKind::Lock, word).expect(word);
            assert_eq!(state.as_str(), word);
        }
        for word in ["on", "off", "open", "toggle", "LOCKED", "", "locked now"] {
            assert!(DeviceState::parse(DeviceKind::Lock, word).is_err(), "{word}");
        }
    }

    #[test]
    fn a_light_is_on_off_or_unknown() {
        assert_eq!(DeviceState::parse(DeviceKind::Light, "on"), Ok(DeviceState::On));
        let error = DeviceState::parse(DeviceKind::Light, "locked").expect_err("locked");
        assert_eq!(error.to_string(), "a light cannot be `locked`: on, off or unknown");
    }

    #[test]
    fn other_devices_say_any_short_word() {
        let state = DeviceState::parse(DeviceKind::Other, "raining").expect("raining");
        assert_eq!(state, DeviceState::Reported("raining".into()));
        assert!(DeviceState::parse(DeviceKind::Other, "<script>").is_err());
        assert!(DeviceState::parse(DeviceKind::Camera, &"x".repeat(33)).is_err());
    }
}
