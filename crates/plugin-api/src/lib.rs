//! What an action says of itself, what it is asked, and what it gives back:
//! the words that the server's own actions and those of plugins share.
//!
//! Deliberately absent: nothing here knows HTTP, MQTT, or how the server keeps
//! its devices.

mod action_error;
mod action_info;
mod caller;
mod reply;

pub use action_error::{ActionError, ErrorKind};
pub use action_info::{ActionInfo, Callers};
pub use caller::Caller;
pub use reply::Reply;
