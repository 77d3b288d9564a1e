//! What an action says of itself.

use serde::{Deserialize, Serialize};

/// What an action says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ActionInfo {
    /// The first word that selects it: 1 to 64 of `a-z`, `0-9` and `_`,
    /// beginning with a letter.
    #[cfg_attr(feature = "schema", schema(example = "unlock"))]
    pub name: String,
    /// What it does, in a sentence.
    #[cfg_attr(feature = "schema", schema(example = "unlocks one device, or all of them"))]
    pub description: String,
    /// Who may call it.
    pub callers: Callers,
    /// Its words, or its answer, are secret: they are in no log.
    pub secret: bool,
}

/// Who may call an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Callers {
    /// Devices of the roster.
    pub devices: bool,
    /// Devices that have not joined, too.
    pub unjoined_devices: bool,
    /// Devices of the roster, for what config.json grants them.
    pub granted_devices: bool,
    /// Apps.
    #[cfg_attr(feature = "schema", schema(example = true))]
    pub apps: bool,
}

impl Callers {
    /// Nobody.
    pub const NOBODY: Self =
        Self { devices: false, unjoined_devices: false, granted_devices: false, apps: false };
    /// Devices of the roster.
    pub const DEVICES: Self = Self { devices: true, ..Self::NOBODY };
    /// Any device, joined or not.
    pub const UNJOINED_DEVICES: Self = Self { unjoined_devices: true, ..Self::DEVICES };
    /// Apps.
    pub const APPS: Self = Self { apps: true, ..Self::NOBODY };
    /// Apps, and devices for what config.json grants them.
    pub const APPS_AND_GRANTED_DEVICES: Self = Self { granted_devices: true, ..Self::APPS };
}

impl ActionInfo {
    /// Checks the name.
    ///
    /// # Errors
    /// It is none; the error says the rule.
    pub fn check(&self) -> Result<(), String> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let name = self.name.as_bytes();
        let fits = (1..=64).contains(&name.len())
            && name[0].is_ascii_lowercase()
            && name.iter().all(|byte| inner(*byte));
        if fits {
            Ok(())
        } else {
            let name = self.name.escape_debug();
            Err(format!(
                "`{name}` is not the name of an action: 1 to 64 of a-z, 0-9 and _, beginning with a letter"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> ActionInfo {
        ActionInfo {
            name: name.to_owned(),
            description: String::new(),
            callers: Callers::APPS,
            secret: false,
        }
    }

    #[test]
    fn names_are_words_that_can_stand_first_in_a_message() {
        for good in ["lock", "find_stranger", "a1", &"x".repeat(64)] {
            assert_eq!(named(good).check(), Ok(()), "{good}");
        }
        for bad in ["", "Lock", "1a", "_a", "a b", "a-b", "ä", &"x".repeat(65)] {
            assert!(named(bad).check().is_err(), "{bad}");
        }
    }
}
