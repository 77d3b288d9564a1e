//! What a code is called.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The most characters of a name.
const LONGEST: usize = 60;

/// What a code is called, such as `cleaner`: on one line, for lists and
/// records. It has no more than three digits in a row, lest it be the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 60, example = "cleaner")]
pub struct PinName(String);

/// Why something is no name. It does not say what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a code's name has 1 to {LONGEST} characters on one line, and not four digits in a row: it is \
     shown to others"
)]
pub struct InvalidPinName;

impl PinName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PinName {
    type Error = InvalidPinName;

    fn try_from(name: String) -> Result<Self, InvalidPinName> {
        let fits = (1..=LONGEST).contains(&name.chars().count())
            && name.trim().len() == name.len()
            && !name.chars().any(char::is_control);
        let digits = name.as_bytes().windows(4);
        let is_code = digits.into_iter().any(|four| four.iter().all(u8::is_ascii_digit));
        if fits && !is_code { Ok(Self(name)) } else { Err(InvalidPinName) }
    }
}

impl fmt::Display for PinName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_on_one_line_and_no_code() {
        for name in ["cleaner", "Ada’s aunt", "flat 12", "room 101"] {
            assert!(PinName::try_from(name.to_owned()).is_ok(), "{name}");
        }
        for name in ["", " a", "a\nb", "7391", "cleaner 739155", &"x".repeat(61)] {
            assert_eq!(PinName::try_from(name.to_owned()), Err(InvalidPinName), "{name}");
        }
    }
}
