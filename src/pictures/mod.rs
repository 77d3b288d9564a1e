//! What cameras saw: checked, kept, found, deleted.
//!
//! A picture is taken by what its bytes are, not by what they are said to be:
//! it is decoded as a whole within byte and pixel limits and encoded anew, so
//! that no metadata and nothing hidden behind the picture is kept. Files have
//! random names in a folder of their own, which is served by no file handler;
//! a row in the database describes each.
//!
//! Absent by design: nothing here knows who may see a picture.

mod arrivals;
mod counts;
mod error;
mod files;
mod id;
mod links;
mod media_type;
mod picture;
mod reencode;
mod retention;
mod rows;
mod size;
mod store;
mod sweep;
#[cfg(test)]
mod tests;
mod thumbnail;
mod upload;

pub use arrivals::Held;
pub use error::PictureError;
pub use id::{InvalidPictureId, PictureId};
pub use links::{LinkError, PictureLinks, ShownLink, SignedLinks};
pub use media_type::MediaType;
pub use picture::Picture;
pub use size::PictureSize;
pub use store::Pictures;
pub use upload::Upload;
