//! The configuration: what the file of `--config` may hold, a file per part.

mod access;
mod http;
mod listeners;
mod log;
mod options;
mod seconds;
mod store;
mod when_full;

use std::path::Path;

use serde::Deserialize;

pub(crate) use access::AccessConfig;
pub(crate) use http::HttpConfig;
pub(crate) use listeners::{ClientCertificatesConfig, ListenerConfig, ListenerKind};
pub(crate) use log::{LogConfig, LogFormat};
pub(crate) use options::OptionsConfig;
pub(crate) use seconds::Seconds;
pub(crate) use store::{StoreConfig, StorePrefix};

/// More threads than any machine has cores for.
const MOST_THREADS: usize = 1024;

/// All of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where clients connect.
    pub(crate) listeners: Vec<ListenerConfig>,
    /// Who may do what.
    pub(crate) access: AccessConfig,
    /// Where sessions and retained messages outlive the broker.
    pub(crate) store: Option<StoreConfig>,
    /// What the keys in a Redis server begin with.
    pub(crate) store_prefix: StorePrefix,
    /// Limits and habits.
    pub(crate) options: OptionsConfig,
    /// Statistics, health and metrics over HTTP.
    pub(crate) http: HttpConfig,
    /// What is written to standard error.
    pub(crate) log: LogConfig,
}

impl Config {
    /// Takes what is relative as relative to the configuration's own folder.
    pub(crate) fn place(&mut self, folder: &Path) {
        if let Some(ledger) = &mut self.access.ledger {
            *ledger = folder.join(&*ledger);
        }
        if let Some(store) = &mut self.store {
            store.place(folder);
        }
        for listener in &mut self.listeners {
            listener.place(folder);
        }
    }

    /// What is wrong with it beyond each single value.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.listeners.is_empty() {
            return Err("listeners: there is none; one is `{address: 127.0.0.1:1883}`".to_owned());
        }
        for (number, listener) in self.listeners.iter().enumerate() {
            listener.check().map_err(|error| format!("listeners[{number}].{error}"))?;
            if self.listeners[..number].iter().any(|other| other.is_same(listener)) {
                let key = if listener.socket.is_some() { "socket" } else { "address" };
                return Err(format!("listeners[{number}].{key}: another one has it already"));
            }
        }
        if self.options.threads > MOST_THREADS {
            let threads = self.options.threads;
            return Err(format!("options.threads: {threads} is more than {MOST_THREADS}"));
        }
        self.access.check()?;
        self.http.check()?;
        self.log.check()
    }
}
