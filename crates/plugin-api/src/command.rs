//! What a plugin has devices do, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::DeviceKind;

/// What a device is told to do. There is no toggle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Move the bolt out; a light goes off.
    Lock,
    /// Move the bolt in; a light goes on.
    Unlock,
    /// Switch on.
    On,
    /// Switch off.
    Off,
}

impl Verb {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The devices that are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Every device to which the verb means something.
    All,
    /// Those of a kind.
    Kind(DeviceKind),
    /// One, by its id.
    Device(String),
}

/// What became of a command, as far as it was known when the wait was over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandOutcome {
    /// The device.
    pub device: String,
    /// What it was told; a light that is told `lock` is told `off`.
    pub verb: Verb,
    /// The command's id; none where nothing was issued.
    pub command: Option<String>,
    /// `confirmed`, or another ending (`failed`, `refused`, `offline`,
    /// `superseded`, `expired`, `unconfirmed`), or how far it came (`issued`,
    /// `sent`, `delivered`).
    pub status: String,
    /// What there is to say about that.
    pub detail: Option<String>,
}

impl CommandOutcome {
    /// Whether the device did it, in its own words.
    pub fn is_confirmed(&self) -> bool {
        self.status == "confirmed"
    }
}

/// What became of the commands to all devices that were meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandReport {
    /// One for each device.
    pub outcomes: Vec<CommandOutcome>,
}

impl CommandReport {
    /// How many devices did it.
    pub fn confirmed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.is_confirmed()).count()
    }

    /// Those that did not, or not yet.
    pub fn not_confirmed(&self) -> impl Iterator<Item = &CommandOutcome> {
        self.outcomes.iter().filter(|outcome| !outcome.is_confirmed())
    }
}
