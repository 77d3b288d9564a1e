//! What is known of a plugin, as `GET /api/v1/plugins` shows it.

use jiff::Timestamp;
use serde::Serialize;

/// How far a plugin came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginState {
    /// It lies in the folder, and config.json does not allow it.
    NotAllowed,
    /// config.json names it; it was not loaded, and `error` says why.
    Declared,
    /// It is in the process, but did not start; `error` says why.
    Loaded,
    /// Its actions can be called.
    Started,
    /// A call outlasted its time limit; none of its actions is called again
    /// before the server's next start.
    Quarantined,
}

/// What is known of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginReport {
    /// The file's name in the plugin folder.
    pub file: String,
    /// The SHA-256 that config.json allows, or that was installed.
    pub sha256: Option<String>,
    /// What the plugin calls itself.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The number of the boundary that it speaks, where it was read.
    pub api: Option<u32>,
    /// Whether it was installed from afar, and is no plugin of config.json's.
    pub installed: bool,
    /// How far it came.
    pub state: PluginState,
    /// Its actions.
    pub actions: Vec<String>,
    /// Why it is not started, or in quarantine.
    pub error: Option<String>,
    /// How many calls were begun.
    pub calls: u64,
    /// How many of them ended in an error, a panic or not in time.
    pub failed: u64,
    /// How many of them panicked.
    pub panics: u64,
    /// How many requests to the server, or replies, were not granted.
    pub refused: u64,
    /// Since when it is in quarantine.
    #[serde(serialize_with = "crate::timestamp::milliseconds_or_null")]
    pub quarantined_since: Option<Timestamp>,
}

impl PluginState {
    /// Every state.
    pub(super) const ALL: [Self; 5] =
        [Self::NotAllowed, Self::Declared, Self::Loaded, Self::Started, Self::Quarantined];

    /// The word, as in the API.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::Declared => "declared",
            Self::Loaded => "loaded",
            Self::Started => "started",
            Self::Quarantined => "quarantined",
        }
    }
}

impl PluginReport {
    /// A plugin that is not running.
    pub(super) fn of_absent(file: &str, state: PluginState, error: String) -> Self {
        Self {
            file: file.to_owned(),
            sha256: None,
            name: None,
            version: None,
            api: None,
            installed: false,
            state,
            actions: Vec::new(),
            error: Some(error),
            calls: 0,
            failed: 0,
            panics: 0,
            refused: 0,
            quarantined_since: None,
        }
    }
}
