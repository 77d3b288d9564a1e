//! Events as they stand on record, and which of them are meant.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Kind;
use crate::state::DeviceId;

/// One event on record. Words are as they were written, by whichever version
/// of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Recorded {
    /// Its number: each event has the one after the last.
    #[schema(example = 4711)]
    pub seq: i64,
    /// When it happened.
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    pub at: Timestamp,
    /// What it is about: see [`Kind`].
    #[schema(example = "refusal")]
    pub kind: String,
    /// Who: `app:<name>`, `device:<id>`, `plugin:<name>`, `operator`, `server`
    /// or `nobody`.
    #[schema(example = "device:hall-lamp")]
    pub actor: String,
    /// Through what: `http`, `mqtt`, `keypad`, `plugin`, `console`, `server`.
    #[schema(example = "mqtt")]
    pub through: String,
    /// From where, where that is known.
    #[schema(example = "192.0.2.7")]
    pub address: Option<String>,
    /// The device that it is about.
    #[schema(example = "front-door")]
    pub device: Option<String>,
    /// The id of the command.
    #[schema(example = "01a1fd77-9f3c-7c1e-8a55-3d0f6b1c2e4a")]
    pub command: Option<String>,
    /// What was done, or asked for.
    #[schema(example = "unlock")]
    pub action: String,
    /// What came of it: `ok`, `refused`, `failed`; of a command `issued`, or its
    /// ending.
    #[schema(example = "refused")]
    pub result: String,
    /// What else there is to say.
    #[schema(example = "hall-lamp is not granted to unlock front-door")]
    pub detail: Option<String>,
    /// For how many it stands.
    #[schema(example = 1)]
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
