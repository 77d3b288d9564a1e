//! What is kept of a code; the code itself is not among it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::PinName;
use crate::commands::Verb;
use crate::identity::{AccountGrant, AccountId};
use crate::state::DeviceId;

/// The id of a code: of the thing that stands in lists and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Uuid, example = "01a1fd71-2c3d-7e4f-9a51-6b7c8d9e0f1a")]
pub struct PinId(pub(super) Uuid);

/// What is kept of a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pin {
    /// Its id.
    pub id: PinId,
    /// Whose it is.
    pub account: AccountId,
    /// What it is called.
    pub name: PinName,
    /// What it is for, and when: of what its account may do, no more than this.
    #[serde(flatten)]
    pub limits: AccountGrant,
    /// Good for once.
    pub one_time: bool,
    /// When that was.
    #[serde(serialize_with = "crate::timestamp::milliseconds_or_null")]
    pub used_at: Option<Timestamp>,
    /// Good for nothing, for now.
    pub disabled: bool,
    /// When it was made.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    pub created_at: Timestamp,
}

impl Pin {
    /// Whether it is for this at this moment; of what its account may do, and of
    /// its having been used, this says nothing.
    ///
    /// # Errors
    /// Not, and why.
    pub fn may_operate(
        &self,
        verb: Verb,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        if self.disabled {
            Err("it is disabled")
        } else if !self.limits.allows(verb, device, now) {
            Err("it is not for this, or not now")
        } else {
            Ok(())
        }
    }
}

impl FromStr for PinId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for PinId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
