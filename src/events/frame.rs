//! An event as it goes over a stream (server-sent events): written once, for
//! all who follow.

use std::fmt::Write as _;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::{EventError, Kind, Recorded};
use crate::identity::{View, nameless};
use crate::state::DeviceId;

/// An event, ready to be sent.
#[derive(Debug)]
pub struct Frame {
    /// Its number.
    pub seq: i64,
    kind: String,
    device: Option<String>,
    /// Whole, for who may see the record.
    pub whole: Bytes,
    /// What there is of it for who may see its device, and not the record.
    pub narrow: Option<NarrowFrame>,
}

/// What there is of an event for who may see its device.
#[derive(Debug)]
pub struct NarrowFrame {
    /// The device.
    pub device: DeviceId,
    at: Timestamp,
    actor: String,
    /// With who it was.
    named: Bytes,
    /// Without a name.
    nameless: Bytes,
}

impl NarrowFrame {
    /// As somebody may know of it, if they may at all.
    pub fn seen(&self, view: &View) -> Option<&Bytes> {
        let shown = if view.names(&self.actor) { &self.named } else { &self.nameless };
        view.shows(self.at).then_some(shown)
    }
}

/// As whoever may see a device finds its commands: not from where, and through
/// what, somebody asked.
#[derive(Serialize)]
struct Narrow<'a> {
    seq: i64,
    #[serde(serialize_with = "crate::timestamp::milliseconds")]
    at: Timestamp,
    kind: &'a str,
    actor: &'a str,
    device: &'a str,
    command: Option<&'a str>,
    action: &'a str,
    result: &'a str,
    detail: Option<&'a str>,
    times: i64,
}

impl Frame {
    /// # Errors
    /// None that an event brings about.
    pub(super) fn of(event: Recorded) -> Result<Self, EventError> {
        let whole = written(event.seq, &event.kind, &event)?;
        let narrow = Self::narrow(&event)?;
        let Recorded { seq, kind, device, .. } = event;
        Ok(Self { seq, kind, device, whole, narrow })
    }

    /// What it is about.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// About which device.
    pub fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    fn narrow(event: &Recorded) -> Result<Option<NarrowFrame>, EventError> {
        let is_of_device = Kind::OF_DEVICES.iter().any(|kind| kind.as_str() == event.kind);
        let device = event.device.as_deref().filter(|_| is_of_device);
        let Some(id) = device.and_then(|device| device.parse::<DeviceId>().ok()) else {
            return Ok(None);
        };
        let mut narrow = Narrow {
            seq: event.seq,
            at: event.at,
            kind: &event.kind,
            actor: &event.actor,
            device: id.as_str(),
            command: event.command.as_deref(),
            action: &event.action,
            result: &event.result,
            detail: event.detail.as_deref(),
            times: event.times,
        };
        let named = written(event.seq, &event.kind, &narrow)?;
        narrow.actor = nameless(&event.actor, Some(&event.through));
        narrow.detail = narrow.detail.filter(|_| View::tells_anybody_why(&event.result));
        let nameless = written(event.seq, &event.kind, &narrow)?;
        let (at, actor) = (event.at, event.actor.clone());
        Ok(Some(NarrowFrame { device: id, at, actor, named, nameless }))
    }
}

/// JSON has no line break in it, so that it is one line of data.
fn written(seq: i64, kind: &str, event: &impl Serialize) -> Result<Bytes, EventError> {
    let json = serde_json::to_string(event).map_err(|e| EventError(e.to_string().into()))?;
    let mut frame = String::with_capacity(json.len() + 64);
    // A kind that somebody else wrote into the table ends no line either.
    let kind = Some(kind).filter(|kind| kind.bytes().all(|b| b.is_ascii_graphic()));
    let kind = kind.unwrap_or("message");
    let _ = write!(frame, "id: {seq}\nevent: {kind}\ndata: {json}\n\n");
    Ok(frame.into())
}
