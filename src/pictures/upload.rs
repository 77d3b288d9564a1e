//! What somebody uploads.

use bytes::Bytes;

use super::PictureError;
use crate::state::DeviceId;

/// The most bytes that a name may have.
const NAME: usize = 128;

/// What somebody uploads: bytes that are to be a picture.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The bytes.
    pub bytes: Bytes,
    /// The camera; none where an app uploads.
    pub device: Option<DeviceId>,
    /// What `find_stranger` may call it within the next minute.
    pub name: Option<String>,
}

impl Upload {
    /// A name is one word of `find_stranger`, and never that of a file.
    pub(super) fn check_name(&self) -> Result<(), PictureError> {
        let Some(name) = &self.name else { return Ok(()) };
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '/' || c == '\\';
        if (1..=NAME).contains(&name.len()) && !name.contains(odd) {
            return Ok(());
        }
        let shown = name.chars().take(NAME).flat_map(char::escape_default).collect();
        Err(PictureError::InvalidName(shown))
    }
}
