//! What a file of events has of each.

use super::Recorded;
use crate::export_format::{harmless, moment};

impl Recorded {
    /// The columns of a file of events.
    pub const NAMES: [&str; 12] = [
        "seq", "at", "kind", "actor", "through", "address", "device", "command", "action",
        "result", "detail", "times",
    ];

    /// What stands in them.
    pub fn columns(&self) -> [String; Self::NAMES.len()] {
        let Self { seq, at, kind, actor, through, address, device, command, .. } = self;
        let Self { action, result, detail, times, .. } = self;
        let text = |text: &str| harmless(text);
        let maybe = |text: &Option<String>| harmless(text.as_deref().unwrap_or_default());
        [
            seq.to_string(),
            moment(*at),
            text(kind),
            text(actor),
            text(through),
            maybe(address),
            maybe(device),
            maybe(command),
            text(action),
            text(result),
            maybe(detail),
            times.to_string(),
        ]
    }
}
