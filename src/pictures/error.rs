//! Why a picture is not taken, or not there.

use std::time::Duration;

use latchlight_plugin_api::ActionError;

/// Why a picture is not taken, or not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// There is no such picture; the text says which was looked for.
    #[error("{0}")]
    NotFound(String),
    /// The bytes are neither JPEG nor PNG.
    #[error("the bytes are neither a JPEG nor a PNG picture")]
    NotAPicture,
    /// The bytes begin as a picture and do not go on as one.
    #[error("the picture cannot be decoded: {0}")]
    Broken(String),
    /// More bytes than are taken.
    #[error("the picture has more than {max} bytes")]
    TooManyBytes {
        /// The most that are taken.
        max: usize,
    },
    /// Few bytes that become too many when they are written anew.
    #[error("written anew, the picture has more than {max} bytes")]
    TooManyKeptBytes {
        /// The most that one may have on disk.
        max: u64,
    },
    /// More pixels than are taken.
    #[error("the picture has {width} × {height} pixels, and at most {max} are taken")]
    TooManyPixels {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The most that are taken.
        max: u64,
    },
    /// A name that cannot be.
    #[error(
        "`{0}` is not the name of a picture: 1 to 128 bytes without spaces, slashes and control characters"
    )]
    InvalidName(String),
    /// Somebody sends pictures too often: not before so long.
    #[error("too many pictures from one sender: at most {most} in a minute are taken")]
    TooSoon {
        /// For so long.
        wait: Duration,
        /// How many are taken in a minute.
        most: u32,
    },
    /// Too many pictures are being decoded.
    #[error("too many pictures come at once")]
    Busy,
    /// The disk or the database failed; the picture is not kept.
    #[error("keep the picture: {0}")]
    Storage(String),
}

impl From<PictureError> for ActionError {
    fn from(error: PictureError) -> Self {
        let why = error.to_string();
        match error {
            PictureError::NotFound(_) => Self::not_found(why),
            PictureError::Busy | PictureError::TooSoon { .. } | PictureError::Storage(_) => {
                Self::unavailable(why)
            }
            _ => Self::bad_input(why),
        }
    }
}

impl From<sqlx::Error> for PictureError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(error.to_string())
    }
}

impl From<std::io::Error> for PictureError {
    fn from(error: std::io::Error) -> Self {
        Self::Storage(error.to_string())
    }
}
