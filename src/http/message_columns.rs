//! What a file of messages has of each.

use super::message_view::MessageView;
use crate::export_format::{harmless, moment};

/// The columns of a file of messages.
pub(super) const COLUMNS: [&str; 16] = [
    "id",
    "at",
    "direction",
    "state",
    "topic",
    "device",
    "payload",
    "payload_base64",
    "qos",
    "retain",
    "content_type",
    "properties",
    "sender",
    "expires_at",
    "ended_at",
    "detail",
];

impl MessageView<'_> {
    /// What stands in them. What a spreadsheet would take for a formula has an
    /// apostrophe before it, in base64 too.
    pub(super) fn columns(&self) -> [String; COLUMNS.len()] {
        let maybe = |text: Option<&str>| harmless(text.unwrap_or_default());
        let properties = match self.properties.is_empty() {
            true => String::new(),
            false => serde_json::json!(self.properties).to_string(),
        };
        [
            self.id.to_string(),
            moment(self.at),
            self.direction.to_owned(),
            self.state.as_str().to_owned(),
            harmless(self.topic),
            maybe(self.device),
            maybe(self.payload),
            maybe(self.payload_base64.as_deref()),
            self.qos.to_string(),
            self.retain.to_string(),
            maybe(self.content_type),
            properties,
            maybe(self.sender),
            self.expires_at.map(moment).unwrap_or_default(),
            self.ended_at.map(moment).unwrap_or_default(),
            maybe(self.detail),
        ]
    }
}
