//! `log`: what is written to standard error, and how.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// The settings of the log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// A level, or levels per module.
    pub(crate) level: String,
    /// `text` for people, `json` for machines.
    pub(crate) format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The levels, from nothing to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::default() }
    }
}

impl LogConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        // A word alone that is no level would be taken for a module's name.
        let words = self.level.split(',').map(str::trim).filter(|word| !word.contains('='));
        for word in words {
            if !LEVELS.contains(&word.to_ascii_lowercase().as_str()) {
                let levels = LEVELS.join(", ");
                return Err(format!("log.level: `{}` is none of {levels}", word.escape_debug()));
            }
        }
        self.filter().map(|_| ())
    }

    /// What is written.
    pub(crate) fn filter(&self) -> Result<EnvFilter, String> {
        EnvFilter::try_new(&self.level).map_err(|error| format!("log.level: {error}"))
    }
}
