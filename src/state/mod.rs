//! The device roster and what was last known of each device.
//!
//! [`State`] is the only writer of config.json. Every device starts as
//! `unknown`, also after a restart, until it speaks; what was known before is
//! kept beside it as `last_known`. A change of the roster is on disk before
//! the call that made it returns; changes that arrive together share one
//! write. Last known states are written at most every five seconds and at the
//! stop.
//!
//! Absent by design: nothing here publishes, and nothing sets a lock's state
//! but the word of that device.

mod device;
mod device_id;
mod device_state;
mod file;
mod joining;
mod plugins;
mod roster;
mod saved;
mod snapshot;
mod syntax;
mod writer;

pub use device::{Device, DeviceKind, Features, LastKnown};
pub use device_id::{DeviceId, InvalidDeviceId};
pub use device_state::{DeviceState, InvalidDeviceState};
pub use file::{ConfigFile, FileError};
pub use joining::Joining;
pub use roster::{State, StateError};
pub use saved::{SavedPlugin, installed_plugins};
