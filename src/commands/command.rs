//! One command, as it is recorded and shown.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::deadline::Deadline;
use super::{CommandId, Verb};
use crate::identity::{Principal, Through};
use crate::state::DeviceId;

/// Where a command is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// On record, and not yet on its way.
    Issued,
    /// The link took it.
    Sent,
    /// The device's PUBACK came (known in the embedded broker only).
    Delivered,
    /// Ending: the device did it.
    Confirmed,
    /// Ending: the device could not, and said so.
    Failed,
    /// Ending: the issuer may not.
    Refused,
    /// Ending: the device is away.
    Offline,
    /// Ending: an opposite command came while this one waited.
    Superseded,
    /// Ending: it provably never left.
    Expired,
    /// Ending: it left and no word came. The door may be open.
    Unconfirmed,
}

impl Status {
    pub(super) const ALL: [Self; 10] = [
        Self::Issued,
        Self::Sent,
        Self::Delivered,
        Self::Confirmed,
        Self::Failed,
        Self::Refused,
        Self::Offline,
        Self::Superseded,
        Self::Expired,
        Self::Unconfirmed,
    ];

    /// The word, as in the API and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Offline => "offline",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
            Self::Unconfirmed => "unconfirmed",
        }
    }

    /// Whether nothing more will come.
    pub fn is_ended(self) -> bool {
        !matches!(self, Self::Issued | Self::Sent | Self::Delivered)
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| format!("`{word}` is not the status of a command"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One request to one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    /// Its id.
    pub id: CommandId,
    /// The device.
    pub device: DeviceId,
    /// What the device is to do.
    pub verb: Verb,
    /// Who asked: `app:<identity>`, `device:<id>`, `plugin:<name>`.
    pub issuer: String,
    /// Through what; for the audit alone.
    #[serde(skip)]
    pub through: Option<Through>,
    /// From where, as far as that is known; for the audit alone.
    #[serde(skip)]
    pub address: Option<IpAddr>,
    /// Who asked, to be asked about again when it leaves; nothing where it was
    /// read from the record.
    #[serde(skip)]
    pub(super) asked_by: Option<Principal>,
    /// Where it is in its life.
    pub status: Status,
    /// What there is to say about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When the link took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// When the device's PUBACK came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When it ends by itself, as it is told. Whoever sets the wall clock
    /// changes nothing about it: see [`Command::left`].
    pub expires_at: Timestamp,
    /// When it ends by itself; nothing where it was read from the record.
    #[serde(skip)]
    pub(super) deadline: Option<Deadline>,
}

impl Command {
    /// How long it is until it ends by itself: nothing when that has passed.
    pub fn left(&self) -> Option<Duration> {
        self.deadline?.left()
    }

    /// Gives the command its end.
    pub(super) fn end(&mut self, status: Status, detail: Option<String>) {
        self.status = status;
        self.detail = detail;
        self.ended_at = Some(Timestamp::now());
    }
}
