//! Why a plugin is not there.

use std::path::PathBuf;

use latchlight_plugin_api::boundary::{API, SYMBOL};

use crate::config::Sha256Hex;

/// Why a plugin was not read, loaded or started.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("it cannot be read: {0}")]
    Read(std::io::Error),
    #[error("it cannot be read from the plugin folder {}: {error}", folder.display())]
    ReadFromFolder { folder: PathBuf, error: std::io::Error },
    #[error("it is not a plain file, but a link or something else")]
    NotAFile,
    #[error("it is cut short: copy it anew")]
    CutShort,
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
    #[error(
        "it was changed after it was allowed: its SHA-256 is {found}, config.json allows {allowed}. \
         If you trust the new file, `latchlight plugin allow FILE` prints the line",
        found = .found.as_str(), allowed = .allowed.as_str()
    )]
    Changed { found: Sha256Hex, allowed: Sha256Hex },
    #[error("it cannot be copied to be loaded: {0}")]
    Copy(std::io::Error),
    #[error("it is not a library that can be loaded here: {0}")]
    NotALibrary(String),
    #[error("it is not a dynamic library")]
    NotDynamic,
    #[error("it has no symbol `{SYMBOL}`: a plugin is made with `declare_plugin!`")]
    NoSymbol,
    #[error(
        "it speaks API {0} and this server {API}: build it with this server's latchlight-plugin-api"
    )]
    WrongApi(u32),
    #[error("its declaration is cut short, or lacks a function")]
    Incomplete,
    #[error("it did not start: {0}")]
    Start(String),
    #[error("it did not start within its time limit of {0} ms")]
    TooSlow(u128),
    #[error("{0}")]
    Unfit(String),
    #[error("{0}")]
    NotInstalled(String),
}

impl LoadError {
    /// The API number that the library speaks, where that was read.
    pub(super) fn api(&self) -> Option<u32> {
        match self {
            Self::WrongApi(found) => Some(*found),
            Self::Incomplete | Self::Start(_) | Self::Unfit(_) => Some(API),
            _ => None,
        }
    }

    /// Whether the library is in the process all the same.
    pub(super) fn is_loaded(&self) -> bool {
        matches!(self, Self::Start(_) | Self::TooSlow(_) | Self::Unfit(_))
    }
}
