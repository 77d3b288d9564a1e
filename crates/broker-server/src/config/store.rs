//! `store`: where sessions, what they are owed, and retained messages outlive
//! the broker.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use latchlight_broker::{BrokerBuilder, RedisStore, SqliteStore};
use serde::Deserialize;

/// The store's file in its folder.
const FILE: &str = "broker.sqlite";

/// What a store may be.
const KINDS: &str =
    "it has to be a folder, redis://HOST:PORT, rediss://HOST:PORT over TLS, or redis+unix:///PATH";

/// One of the stores.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum StoreConfig {
    /// A file in this folder.
    Folder(PathBuf),
    /// The Redis server at this URL, which may have a password in it.
    Redis(String),
}

/// What the names of a Redis server's keys begin with.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct StorePrefix(String);

impl StoreConfig {
    /// Takes a relative folder as relative to this one.
    pub(crate) fn place(&mut self, beside: &Path) {
        if let Self::Folder(folder) = self {
            *folder = beside.join(&*folder);
        }
    }

    /// Opens the store, and gives it to the broker.
    ///
    /// # Errors
    /// It cannot be had.
    pub(crate) fn open_for(
        &self,
        builder: BrokerBuilder,
        prefix: &StorePrefix,
    ) -> anyhow::Result<BrokerBuilder> {
        match self {
            Self::Folder(folder) => {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("make the store's folder {}", folder.display()))?;
                Ok(builder.store(SqliteStore::open(folder.join(FILE))?))
            }
            Self::Redis(url) => Ok(builder.store(RedisStore::connect(url, &prefix.0)?)),
        }
    }
}

impl TryFrom<String> for StoreConfig {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if ["redis:", "rediss:", "redis+unix:"].iter().any(|scheme| text.starts_with(scheme)) {
            Ok(Self::Redis(text))
        } else if text.is_empty() || text.contains("://") {
            Err(KINDS.to_owned())
        } else {
            Ok(Self::Folder(text.into()))
        }
    }
}

impl TryFrom<OsString> for StoreConfig {
    type Error = String;

    fn try_from(text: OsString) -> Result<Self, Self::Error> {
        text.into_string().map_or_else(|path| Ok(Self::Folder(path.into())), Self::try_from)
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => f.debug_tuple("Folder").field(folder).finish(),
            Self::Redis(_) => f.debug_tuple("Redis").finish_non_exhaustive(),
        }
    }
}

impl Default for StorePrefix {
    fn default() -> Self {
        Self("latchlight-broker".to_owned())
    }
}

impl TryFrom<String> for StorePrefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text))
        } else {
            Err("1 to 64 letters, digits, `-`, `_`, `.` and `:`".to_owned())
        }
    }
}
