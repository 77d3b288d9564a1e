//! The actions: what a message's first word selects. One file each, all with
//! the same skeleton; `registry.rs` knows them by name, built in or from a
//! plugin.
//!
//! Absent by design: an action knows neither HTTP nor MQTT. What it has to
//! say goes back as an [`Answer`]; what it needs, it finds in the [`Context`].

mod ack;
mod answer;
mod context;
mod find_stranger;
mod hand_shake;
mod lock;
mod off;
mod on;
mod operate;
mod registry;
mod report;
mod request;
mod state;
pub mod unknown;
mod unlock;

pub use answer::Answer;
pub use context::{Context, Outbox};
pub use registry::{Action, Change, ListedAction, Origin, Registered, Registry};
pub(crate) use request::parse as parse_json;
pub use request::{Request, Rest};
