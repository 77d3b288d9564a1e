//! What is known of a plugin, as `GET /api/v1/plugins` shows it.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// How far a plugin came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PluginReport {
    /// The file's name in the plugin folder.
    #[schema(example = "libhouse.so")]
    pub file: String,
    /// The SHA-256 that config.json allows, or that was installed.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub sha256: Option<String>,
    /// What the plugin calls itself.
    #[schema(example = "house")]
    pub name: Option<String>,
    /// Its version.
    #[schema(example = "1.2.0")]
    pub version: Option<String>,
    /// The number of the boundary that it speaks, where it was read.
    #[schema(example = 1)]
    pub api: Option<u32>,
    /// Whether it was installed from afar, and is no plugin of config.json's.
    pub installed: bool,
    /// How far it came.
    #[schema(example = "started")]
    pub state: PluginState,
    /// Its actions.
    #[schema(example = json!(["leave_home"]))]
    pub actions: Vec<String>,
    /// Why it is not started, or in quarantine.
    #[schema(example = json!(null))]
    pub error: Option<String>,
    /// How many calls were begun.
    #[schema(example = 12)]
    pub calls: u64,
    /// How many of them ended in an error, a panic or not in time.
    #[schema(example = 0)]
    pub failed: u64,
    /// How many of them panicked.
    #[schema(example = 0)]
    pub panics: u64,
    /// How many requests to the server, or replies, were not granted.
    #[schema(example = 0)]
    pub refused: u64,
    /// Since when it is in quarantine.
    #[serde(serialize_with = "crate::timestamp::milliseconds_or_null")]
    #[schema(example = json!(null))]
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
