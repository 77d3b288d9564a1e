//! The only crate that the author of a plugin needs, and the words that the
//! server's own actions share with those of plugins.
//!
//! Implement [`Action`], name it in [`declare_plugin!`], and build a `cdylib`;
//! plugins/README.md of the server walks through it. [`testing`] has a host
//! that records, so that an action is tested without a server.
//!
//! Deliberately absent: nothing here knows HTTP, MQTT, or how the server keeps
//! its devices; an author writes no unsafe code and meets no pointer.

mod action;
mod action_error;
mod action_info;
mod answer;
pub mod boundary;
mod call;
mod caller;
mod command;
mod declare_plugin;
mod device;
mod host;
mod reply;
pub mod testing;

pub use action::Action;
pub use action_error::{ActionError, ErrorKind};
pub use action_info::{ActionInfo, Callers};
pub use answer::Answer;
pub use call::Call;
pub use caller::Caller;
pub use command::{CommandOutcome, CommandReport, Selection, Verb};
pub use device::{DeviceKind, DeviceView};
pub use host::{Host, Level};
pub use reply::Reply;
pub use serde_json;
