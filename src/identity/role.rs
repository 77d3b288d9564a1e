//! What an account is in the house.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Scope, Scopes};

/// The role of an account; what it may do to which device is a matter of its
/// grants, but for the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything, also decide who else may do what.
    Owner,
    /// Lives there: what is granted, and what cameras and messages show.
    Member,
    /// Comes and goes: what is granted, while it is granted, and nothing else.
    Guest,
}

/// What was offered as a role and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a role is owner, member or guest")]
pub struct InvalidRole;

impl Role {
    /// The word, as in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Guest => "guest",
        }
    }

    /// The most that a token of this role may be good for.
    pub fn scopes(self) -> Scopes {
        let guest =
            Scopes::from_iter([Scope::DevicesRead, Scope::LocksOperate, Scope::LightsOperate]);
        match self {
            Self::Owner => Scopes::all(),
            Self::Member => guest.with(Scope::PicturesRead).with(Scope::MessagesSend),
            Self::Guest => guest,
        }
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::Owner, Self::Member, Self::Guest]
            .into_iter()
            .find(|role| role.as_str() == word)
            .ok_or(InvalidRole)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
