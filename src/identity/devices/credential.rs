//! What is kept of a device's credentials.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::command_key::Generation;
use crate::state::{DeviceId, DeviceKind};

/// What is kept of a device's credentials; its secret is not among it.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeviceCredential {
    /// Whose they are.
    pub device: DeviceId,
    /// What the device has to say that it is, where that is settled.
    pub kind: Option<DeviceKind>,
    /// When they were made.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    pub created_at: Timestamp,
    /// Of which its key is made, where its commands are signed.
    #[serde(rename = "signed", serialize_with = "is_some")]
    #[schema(value_type = bool)]
    pub(super) generation: Option<Generation>,
    #[serde(skip)]
    pub(super) secret: [u8; 32],
    /// Since when they count, where that was in this run: who was let in before
    /// has shown others.
    #[serde(skip)]
    pub(super) since: Option<SystemTime>,
}

impl DeviceCredential {
    /// Whether the device's commands are signed.
    pub fn is_signed(&self) -> bool {
        self.generation.is_some()
    }

    /// Whether somebody who began to sign in at this moment may have shown
    /// earlier ones.
    pub fn may_be_newer_than(&self, sign_in: SystemTime) -> bool {
        self.since.is_some_and(|since| sign_in <= since)
    }
}

fn is_some<S: Serializer>(
    generation: &Option<Generation>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(generation.is_some())
}

impl fmt::Debug for DeviceCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCredential")
            .field("device", &self.device)
            .field("kind", &self.kind)
            .field("signed", &self.is_signed())
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}
