//! What becomes of somebody's codes when their password is another one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What becomes of somebody's codes then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PinsThen {
    /// They are good as before.
    Keep,
    /// They are good for nothing, until they are enabled again.
    Disable,
    /// They are gone.
    Remove,
}

impl PinsThen {
    /// What is done to them, as in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "kept",
            Self::Disable => "disabled",
            Self::Remove => "removed",
        }
    }
}
