//! One picture, as it is described.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{MediaType, PictureId, PictureSize};
use crate::state::DeviceId;

/// What is known of a picture; its bytes are had from the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Picture {
    /// Its id.
    pub id: PictureId,
    /// The camera; none where it is no camera's.
    pub device: Option<DeviceId>,
    /// Who sent it: the camera itself, or somebody in its place; none where it came
    /// before that was noted.
    #[schema(example = "device:porch")]
    pub sender: Option<String>,
    /// What the uploader calls it.
    #[schema(example = "door.jpg")]
    pub name: Option<String>,
    /// JPEG or PNG.
    pub media_type: MediaType,
    /// In pixels.
    #[schema(example = 1920)]
    pub width: u32,
    /// In pixels.
    #[schema(example = 1080)]
    pub height: u32,
    /// Bytes of the file that is kept.
    #[schema(example = 183_412)]
    pub size: u64,
    /// Bytes of the thumbnail, a JPEG; none where the picture came before there
    /// were any.
    #[serde(rename = "thumbnail_size")]
    #[schema(example = 9_412)]
    pub thumbnail: Option<u64>,
    /// When it came.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    pub received_at: Timestamp,
    /// When it was said to show a stranger.
    #[serde(serialize_with = "crate::timestamp::milliseconds_or_null")]
    pub stranger_at: Option<Timestamp>,
}

impl Picture {
    /// The bytes that it has on disk.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.size + self.thumbnail.unwrap_or(0)
    }

    /// The size that there is where this one is wanted.
    pub fn there_is(&self, wanted: PictureSize) -> PictureSize {
        if self.thumbnail.is_some() { wanted } else { PictureSize::Full }
    }

    /// What the file of this size is.
    pub fn media_type_of(&self, size: PictureSize) -> MediaType {
        match self.there_is(size) {
            PictureSize::Full => self.media_type,
            PictureSize::Thumb => MediaType::Jpeg,
        }
    }

    /// The name of the file of this size.
    pub fn file_name(&self, size: PictureSize) -> String {
        let extension = self.media_type_of(size).extension();
        match self.there_is(size) {
            PictureSize::Full => format!("{}.{extension}", self.id),
            PictureSize::Thumb => format!("{}.thumb.{extension}", self.id),
        }
    }

    /// The names of all its files, the picture's own first.
    pub(super) fn file_names(&self) -> Vec<String> {
        let mut names = PictureSize::ALL.map(|size| self.file_name(size)).to_vec();
        names.dedup();
        names
    }
}
