//! In which size a picture is wanted.

use std::fmt;

use serde::Deserialize;
use utoipa::ToSchema;

/// In which size a picture is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PictureSize {
    /// As it is kept.
    #[default]
    Full,
    /// Small enough for a list.
    Thumb,
}

impl PictureSize {
    /// Every size.
    pub const ALL: [Self; 2] = [Self::Full, Self::Thumb];

    /// The word, as in a query.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Thumb => "thumb",
        }
    }
}

impl fmt::Display for PictureSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
