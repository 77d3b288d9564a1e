//! A device's id: the one name by which topics, routes and config.json know it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The id of a device: 1 to 64 characters of `a-z`, `0-9`, `_` and `-`, the
/// first of them a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", example = "front-door")]
pub struct DeviceId(std::sync::Arc<str>);

/// What was offered as a device id and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a device id: 1 to 64 of a-z, 0-9, _ and -, starting with a letter or a digit"
)]
pub struct InvalidDeviceId(String);

impl DeviceId {
    /// The id as it stands in topics and URLs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeviceId {
    type Err = InvalidDeviceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inner = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
        };
        let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        if bytes.len() <= 64
            && bytes.first().is_some_and(|byte| first(*byte))
            && bytes.iter().all(|byte| inner(*byte))
        {
            Ok(Self(text.into()))
        } else {
            // What a stranger sent is shown, but not at any length.
            Err(InvalidDeviceId(text.chars().take(80).flat_map(char::escape_default).collect()))
        }
    }
}

impl TryFrom<String> for DeviceId {
    type Error = InvalidDeviceId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<&str> for DeviceId {
    type Error = InvalidDeviceId;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for DeviceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::DeviceId;

    #[test]
    fn ids_of_the_documented_shape_are_taken() {
        for good in ["a", "7", "front-door", "lock_1", "0-_", &"x".repeat(64)] {
            assert!(good.parse::<DeviceId>().is_ok(), "{good}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_rule() {
        for bad in ["", "-a", "_a", "A", "a b", "a/b", "a+", "#", "é", &"x".repeat(65), "a\n"] {
            let error = bad.parse::<DeviceId>().expect_err(bad);
            assert!(error.to_string().contains("1 to 64 of a-z"), "{error}");
        }
    }
}
