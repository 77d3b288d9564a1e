//! Events as they stand on record, and which of them are meant.

use jiff::Timestamp;
use serde::Serialize;

use super::Kind;
use crate::state::DeviceId;

/// One event on record. Words are as they were written, by whichever version
/// of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Its number: each event has the one after the last.
    pub seq: i64,
    /// When it happened.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    pub at: Timestamp,
    /// What it is about: see [`Kind`].
    pub kind: String,
    /// Who: `app:<name>`, `device:<id>`, `plugin:<name>`, `operator`, `server`
    /// or `nobody`.
    pub actor: String,
    /// Through what: `http`, `mqtt`, `keypad`, `plugin`, `console`, `server`.
    pub through: String,
    /// From where, where that is known.
    pub address: Option<String>,
    /// The device that it is about.
    pub device: Option<String>,
    /// The id of the command.
    pub command: Option<String>,
    /// What was done, or asked for.
    pub action: String,
    /// What came of it: `ok`, `refused`, `failed`, or a command's ending.
    pub result: String,
    /// What else there is to say.
    pub detail: Option<String>,
    /// For how many it stands.
    pub times: i64,
}

/// Which events are meant: those that are like all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whose.
    pub actor: Option<String>,
    /// About what.
    pub kind: Option<Kind>,
    /// About which device.
    pub device: Option<DeviceId>,
    /// With which result.
    pub result: Option<String>,
    /// At this moment or later.
    pub from: Option<Timestamp>,
    /// Earlier than this.
    pub to: Option<Timestamp>,
}
