//! One picture, as it is described.

use jiff::Timestamp;
use serde::Serialize;

use super::{MediaType, PictureId};
use crate::state::DeviceId;

/// What is known of a picture; its bytes are had from the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// Its id.
    pub id: PictureId,
    /// The camera; none where an app uploaded it.
    pub device: Option<DeviceId>,
    /// What the uploader calls it.
    pub name: Option<String>,
    /// JPEG or PNG.
    pub media_type: MediaType,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Bytes of the file that is kept.
    pub size: u64,
    /// When it came.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    pub received_at: Timestamp,
    /// When it was said to show a stranger.
    #[serde(serialize_with = "crate::timestamp::milliseconds_or_null")]
    pub stranger_at: Option<Timestamp>,
}

impl Picture {
    pub(super) fn file_name(&self) -> String {
        format!("{}.{}", self.id, self.media_type.extension())
    }
}
