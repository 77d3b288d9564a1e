//! Events as files: for a spreadsheet, or a line of JSON each.

use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{EventError, Recorded};

/// How events are written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values (RFC 4180), with a line of names.
    #[default]
    Csv,
    /// JSON, an object a line.
    Ndjson,
}

const NAMES: [&str; 12] = [
    "seq", "at", "kind", "actor", "through", "address", "device", "command", "action", "result",
    "detail", "times",
];

impl Format {
    /// The word for it, which is also how file names end.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// What a file begins with.
    pub fn head(self) -> String {
        match self {
            Self::Csv => format!("{}\r\n", NAMES.join(",")),
            Self::Ndjson => String::new(),
        }
    }

    /// These events, a line each.
    ///
    /// # Errors
    /// None that an event brings about.
    pub fn lines(self, events: &[Recorded]) -> Result<Vec<u8>, EventError> {
        let odd = |error: String| EventError(error.into());
        match self {
            Self::Csv => {
                let mut writer = csv::WriterBuilder::new()
                    .terminator(csv::Terminator::CRLF)
                    .has_headers(false)
                    .from_writer(Vec::new());
                for event in events {
                    writer.write_record(record(event)).map_err(|error| odd(error.to_string()))?;
                }
                writer.into_inner().map_err(|error| odd(error.to_string()))
            }
            Self::Ndjson => {
                let mut lines = Vec::new();
                for event in events {
                    serde_json::to_writer(&mut lines, event).map_err(|e| odd(e.to_string()))?;
                    lines.push(b'\n');
                }
                Ok(lines)
            }
        }
    }
}

fn record(event: &Recorded) -> [String; NAMES.len()] {
    let Recorded { seq, at, kind, actor, through, address, device, command, .. } = event;
    let Recorded { action, result, detail, times, .. } = event;
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

fn moment(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// A text that no spreadsheet takes for a formula: what would begin one has an
/// apostrophe before it, which spreadsheets do not show.
fn harmless(text: &str) -> String {
    let first = text.trim_start().chars().next();
    let formula = first.is_some_and(|first| "=+-@|%＝＋－＠".contains(first));
    let control = text.starts_with(['\t', '\r', '\n']);
    if formula || control { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r\n=1", "＝1", "\tx", "|x"] {
            assert_eq!(harmless(text), format!("'{text}"));
        }
        for text in ["", "app:ada", "1+1", "a=b", "'=1"] {
            assert_eq!(harmless(text), text);
        }
    }
}
