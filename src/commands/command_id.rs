//! The id of a command.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::{Uuid, Version};

/// A UUIDv7 (RFC 9562, section 5.7): ids sort by the time they were made.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, format = Uuid, example = "01a1fd77-9f3c-7c1e-8a55-3d0f6b1c2e4a")]
pub struct CommandId(Uuid);

/// What was offered as a command id and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a command id is a UUID of version 7, such as 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct InvalidCommandId;

impl CommandId {
    /// A new id.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// When it was made, by the clock of whoever made it.
    pub fn made_at(self) -> Option<Timestamp> {
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        Timestamp::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?).ok()
    }
}

impl FromStr for CommandId {
    type Err = InvalidCommandId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::try_parse(text).map_err(|_| InvalidCommandId)?;
        if id.get_version() == Some(Version::SortRand) {
            Ok(Self(id))
        } else {
            Err(InvalidCommandId)
        }
    }
}

impl TryFrom<String> for CommandId {
    type Error = InvalidCommandId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CommandId> for String {
    fn from(id: CommandId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::CommandId;

    #[test]
    fn only_version_7_is_taken() {
        let id = CommandId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        let ago = jiff::Timestamp::now().duration_since(id.made_at().expect("a time"));
        assert!(ago.as_secs().abs() < 60);
        assert!("67e55044-10b1-426f-9247-bb680e5fe0c8".parse::<CommandId>().is_err());
        assert!("".parse::<CommandId>().is_err());
        assert!("1".parse::<CommandId>().is_err());
    }
}
