//! How records are written to files: for a spreadsheet, or a line of JSON each.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How records are written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values (RFC 4180), with a line of names.
    #[default]
    Csv,
    /// JSON, an object a line.
    Ndjson,
}

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

    /// What a file with these columns begins with.
    pub fn head(self, names: &[&str]) -> String {
        match self {
            Self::Csv => format!("{}\r\n", names.join(",")),
            Self::Ndjson => String::new(),
        }
    }

    /// These records, a line each; `columns` says what CSV has of one.
    ///
    /// # Errors
    /// None that a record brings about.
    pub fn lines<T: Serialize, const N: usize>(
        self,
        records: &[T],
        columns: impl Fn(&T) -> [String; N],
    ) -> Result<Vec<u8>, String> {
        match self {
            Self::Csv => {
                let mut writer = csv::WriterBuilder::new()
                    .terminator(csv::Terminator::CRLF)
                    .has_headers(false)
                    .from_writer(Vec::new());
                for record in records {
                    writer.write_record(columns(record)).map_err(|error| error.to_string())?;
                }
                writer.into_inner().map_err(|error| error.to_string())
            }
            Self::Ndjson => {
                let mut lines = Vec::new();
                for record in records {
                    serde_json::to_writer(&mut lines, record).map_err(|e| e.to_string())?;
                    lines.push(b'\n');
                }
                Ok(lines)
            }
        }
    }
}

/// A moment as files have it.
pub fn moment(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// A text that no spreadsheet takes for a formula: what would begin one has an
/// apostrophe before it, which spreadsheets do not show.
pub fn harmless(text: &str) -> String {
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
