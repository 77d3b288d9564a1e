//! How much is taken and kept.

use crate::config::HttpSettings;

/// How much is taken and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureLimits {
    /// The most bytes of an upload.
    pub max_bytes: usize,
    /// The most pixels of an upload.
    pub max_pixels: u64,
    /// How many pictures are kept; the oldest give way.
    pub kept: u32,
}

impl From<&HttpSettings> for PictureLimits {
    fn from(settings: &HttpSettings) -> Self {
        Self {
            max_bytes: settings.picture_max_bytes,
            max_pixels: settings.picture_max_pixels,
            kept: settings.pictures_kept,
        }
    }
}
