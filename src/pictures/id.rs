//! The id of a picture.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::{Uuid, Version};

/// A random UUID (version 4): whoever does not have it cannot guess it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[schema(value_type = String, format = Uuid, example = "67e55044-10b1-426f-9247-bb680e5fe0c8")]
pub struct PictureId(Uuid);

/// What was offered as a picture's id and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a picture's id is a UUID of version 4, such as 67e55044-10b1-426f-9247-bb680e5fe0c8")]
pub struct InvalidPictureId;

impl PictureId {
    pub(super) fn generate() -> Self {
        Self(Uuid::new_v4())
    }
}

impl FromStr for PictureId {
    type Err = InvalidPictureId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::try_parse(text).map_err(|_| InvalidPictureId)?;
        // Of the ways to write a UUID one is taken: an id has one spelling.
        let mut written = Uuid::encode_buffer();
        let is_so_written = id.hyphenated().encode_lower(&mut written) == text;
        if id.get_version() == Some(Version::Random) && is_so_written {
            Ok(Self(id))
        } else {
            Err(InvalidPictureId)
        }
    }
}

impl fmt::Display for PictureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert_eq!(id.parse::<PictureId>().map(|id| id.to_string()), Ok(id.to_owned()));
        let simple = id.replace('-', "");
        let others = [id.to_uppercase(), id.replace('e', "E"), simple, format!("{{{id}}}")];
        for other in others.into_iter().chain([format!("urn:uuid:{id}"), format!("{id} ")]) {
            assert_eq!(other.parse::<PictureId>(), Err(InvalidPictureId), "{other}");
        }
        // Another version of UUIDs.
        assert!("01a1fd71-2c3d-7e4f-9a51-6b7c8d9e0f1a".parse::<PictureId>().is_err());
    }
}
