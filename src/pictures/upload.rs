//! What somebody uploads.

use bytes::Bytes;

use super::PictureError;
use crate::identity::Principal;
use crate::state::DeviceId;

/// The most bytes that a name may have.
const NAME: usize = 128;

/// What somebody uploads: bytes that are to be a picture.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The bytes.
    pub bytes: Bytes,
    /// Who sends it.
    pub sender: Principal,
    /// The camera; none where it is no camera's.
    pub device: Option<DeviceId>,
    /// What `find_stranger` may call it within the next minute.
    pub name: Option<String>,
}

impl Upload {
    /// Whether this can be a picture's name: one word of `find_stranger`, and
    /// nothing like a path.
    pub fn is_name(text: &str) -> bool {
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '/' || c == '\\';
        (1..=NAME).contains(&text.len()) && !text.contains(odd)
    }

    pub(super) fn check_name(&self) -> Result<(), PictureError> {
        match &self.name {
            Some(name) if !Self::is_name(name) => {
                let shown = name.chars().take(NAME).flat_map(char::escape_default).collect();
                Err(PictureError::InvalidName(shown))
            }
            _ => Ok(()),
        }
    }
}
