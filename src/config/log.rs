//! `log`: what is written to standard error, and how.

use serde::Deserialize;

/// The settings of the log.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`), or levels per
    /// module: `info,latchlight::commands=debug`.
    pub level: String,
    /// `text` for people, `json` for machines.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The levels, from nothing to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

impl TryFrom<String> for LogFormat {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{}` is not a format: text or json", text.escape_debug())),
        }
    }
}

impl LogSettings {
    pub(super) fn check(&self) -> Result<(), String> {
        // A word alone that is no level would be taken for a module's name,
        // and everything else be silent.
        let words = self.level.split(',').map(str::trim).filter(|part| !part.contains('='));
        for word in words {
            if !LEVELS.contains(&word.to_ascii_lowercase().as_str()) {
                return Err(format!(
                    "log.level: `{}` is not a level: {}; or levels per module, such as info,latchlight::commands=debug",
                    word.escape_debug(),
                    LEVELS.join(", ")
                ));
            }
        }
        tracing_subscriber::EnvFilter::try_new(&self.level)
            .map(|_| ())
            .map_err(|error| format!("log.level: `{}` is no filter: {error}", self.level))
    }
}
