//! From the settings to started plugins: declared, loaded, started, and a
//! report for each, whatever became of it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use latchlight_plugin_api::ActionInfo;
use latchlight_plugin_api::boundary::{Outcome, Record};
use parking_lot::{Mutex, RwLock};
use prometheus_client::registry::Registry as MetricsRegistry;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use super::claim::Claim;
use super::counts::Counts;
use super::install_plugin::InstallPlugin;
use super::library_file;
use super::load_error::LoadError;
use super::load_plugin::LoadPlugin;
use super::loaded_action::LoadedAction;
use super::loader::Library;
use super::plugin::Plugin;
use super::signed::file_name;
use super::transfers::Transfers;
use super::{HostServices, PluginReport, PluginState};
use crate::actions::{Origin, Registered, Registry};
use crate::config::{AllowedPlugin, PluginName, PluginsSettings};
use crate::events::{Event, Events, Kind};
use crate::identity::Permissions;
use crate::state::State;

/// How many libraries that are not allowed are reported.
const MOST_STRANGERS: usize = 100;

/// How many libraries may be received whole at once; who comes later is told
/// that the server is busy.
const MOST_UPLOADS: usize = 2;

/// What is on record of each plugin at each start of the server.
const START: &str = "start";

/// What the host works with.
pub struct HostParts {
    /// The section `plugins` of the settings.
    pub settings: PluginsSettings,
    /// The folder of config.json.
    pub beside: PathBuf,
    /// The server, as plugins reach it.
    pub services: Arc<dyn HostServices>,
    /// Where actions are added.
    pub registry: Arc<Registry>,
    /// Remembers what was installed from afar.
    pub state: State,
    /// Who may install.
    pub permissions: Permissions,
    /// Who installed what, and who could not.
    pub events: Events,
}

/// The plugins of this server; cheap to clone.
#[derive(Clone)]
pub struct PluginHost {
    pub(super) inner: Arc<Inner>,
}

/// The host's own.
pub(super) struct Inner {
    pub(super) parts: HostParts,
    pub(super) folder: PathBuf,
    pub(super) plugins: RwLock<Vec<Entry>>,
    /// Held while a plugin is installed or removed: who changes the registry
    /// and the state. The number is how many were loaded from afar.
    pub(super) installing: tokio::sync::Mutex<usize>,
    pub(super) transfers: Mutex<Transfers>,
    /// For each library that is received whole, with its bytes in memory.
    pub(super) uploads: Semaphore,
    pub(super) runtime: Handle,
    counts: Counts,
}

/// A plugin, and whether it was installed from afar.
pub(super) enum Entry {
    Running(Arc<Plugin>),
    Absent(Box<PluginReport>),
}

impl PluginHost {
    /// Loads and starts what the settings allow and what was installed from
    /// afar, one after the other, and adds its actions to the registry. What
    /// fails is reported and logged, and the rest goes on.
    pub async fn start(parts: HostParts) -> Self {
        let folder = parts.beside.join(&parts.settings.folder);
        let host = Self {
            inner: Arc::new(Inner {
                parts,
                folder,
                plugins: RwLock::default(),
                installing: Default::default(),
                transfers: Default::default(),
                uploads: Semaphore::new(MOST_UPLOADS),
                runtime: Handle::current(),
                counts: Counts::default(),
            }),
        };
        let inner = &host.inner;
        let (settings, registry) = (&inner.parts.settings, &inner.parts.registry);
        registry
            .add_built_in(Arc::new(InstallPlugin(Arc::downgrade(inner))))
            .add_built_in(Arc::new(LoadPlugin(Arc::downgrade(inner))));
        for allowed in settings.allow.clone() {
            let (from, entry) = (inner.folder.clone(), allowed.clone());
            let bytes = move || library_file::read_allowed(&from, &entry).map(Bytes::from);
            let running = inner.start(allowed.clone(), None, bytes).await.and_then(|plugin| {
                inner.check_name(plugin.name())?;
                registry.add(actions(&plugin)).map_err(LoadError::Unfit)?;
                Ok(plugin)
            });
            inner.record_start(&allowed, &running);
            inner.enter(&allowed, running);
        }
        inner.start_installed().await;
        for file in strangers(&inner.folder, |file| inner.is_named(file)) {
            tracing::warn!(%file, "a library in the plugin folder is not allowed, and not loaded");
            let error = "config.json does not allow it: `latchlight plugin allow FILE` prints the \
                         line to add";
            let why = format!("{file}: config.json does not allow it");
            let event = Event::of_server(Kind::Plugin, START);
            inner.parts.events.record(event.refused(&why));
            let report = PluginReport::of_absent(&file, PluginState::NotAllowed, error.to_owned());
            inner.plugins.write().push(Entry::Absent(Box::new(report)));
        }
        host
    }

    /// What is known of each plugin: those that config.json names, in its
    /// order, then those that were installed from afar, then what else lies in
    /// the folder.
    pub fn reports(&self) -> Vec<PluginReport> {
        let report = |entry: &Entry| match entry {
            Entry::Running(plugin) => plugin.report(),
            Entry::Absent(report) => PluginReport::clone(report),
        };
        self.inner.plugins.read().iter().map(report).collect()
    }

    /// What is counted of plugins, for Prometheus.
    pub fn register_counts(&self, registry: &mut MetricsRegistry) {
        self.inner.counts.register(registry, &self.reports());
    }
}

impl Inner {
    /// Reads, loads and starts a library, which nobody can call yet. One that
    /// came from afar must call itself what was signed.
    pub(super) async fn start(
        &self,
        allowed: AllowedPlugin,
        claim: Option<&Claim>,
        bytes: impl FnOnce() -> Result<Bytes, LoadError> + Send + 'static,
    ) -> Result<Arc<Plugin>, LoadError> {
        let HostParts { settings, services, .. } = &self.parts;
        let limit = settings.time_limit();
        let (library, record) = start(allowed.file.clone(), bytes, limit).await?;
        check(&record)?;
        let installed = claim.is_some();
        if let Some(Claim { name, version, .. }) = claim {
            let (own, its) = (&record.name, &record.version);
            if own != name.as_str() || *its != version.to_string() {
                return Err(LoadError::Unfit(format!(
                    "it calls itself {} {}, and was signed as {name} {version}",
                    own.escape_debug(),
                    its.escape_debug()
                )));
            }
        }
        let durations = self.counts.durations_of(&record.name);
        let services = services.clone();
        let plugin = Plugin::new(library, record, allowed, installed, services, limit, durations);
        Ok(Arc::new(plugin))
    }

    /// Whether no plugin that runs has this name.
    pub(super) fn check_name(&self, name: &str) -> Result<(), LoadError> {
        match self.running(name) {
            Some(_) => Err(LoadError::Unfit(format!("there is a plugin `{name}` already"))),
            None => Ok(()),
        }
    }

    /// The plugin of this name that runs.
    pub(super) fn running(&self, name: &str) -> Option<Arc<Plugin>> {
        let plugins = self.plugins.read();
        let running = plugins.iter().filter_map(|entry| match entry {
            Entry::Running(plugin) => Some(plugin),
            Entry::Absent(_) => None,
        });
        running.into_iter().find(|plugin| plugin.name() == name).cloned()
    }

    /// Records what became of a plugin when the server started.
    pub(super) fn record_start(
        &self,
        allowed: &AllowedPlugin,
        running: &Result<Arc<Plugin>, LoadError>,
    ) {
        let (event, file) = (Event::of_server(Kind::Plugin, START), &allowed.file);
        self.parts.events.record(match running {
            Ok(plugin) => {
                let (name, version) = (plugin.name(), &plugin.record.version);
                event.detail(&format!("{name} {version}, {file}"))
            }
            Err(error) => event.failed(&format!("{file}: {error}")),
        });
    }

    /// Enters what became of a plugin, in the place of what was there of its
    /// file.
    pub(super) fn enter(&self, allowed: &AllowedPlugin, running: Result<Arc<Plugin>, LoadError>) {
        let entry = match running {
            Ok(plugin) => {
                let (file, version) = (&allowed.file, &plugin.record.version);
                tracing::info!(plugin = plugin.name(), %version, %file, "plugin started");
                Entry::Running(plugin)
            }
            Err(error) => Entry::Absent(Box::new(failed(allowed, &error))),
        };
        self.plugins.write().push(entry);
    }

    /// Whether config.json or the state names this file of the folder.
    pub(super) fn is_named(&self, file: &str) -> bool {
        let HostParts { settings, state, .. } = &self.parts;
        let installed = state.plugins();
        settings.allow.iter().any(|allowed| allowed.file == file)
            || installed.iter().any(|(name, saved)| file_name(name, &saved.sha256) == file)
    }
}

/// Reads, loads and starts a library on a thread of its own, which is
/// abandoned when it takes too long.
async fn start(
    file: String,
    bytes: impl FnOnce() -> Result<Bytes, LoadError> + Send + 'static,
    limit: Duration,
) -> Result<(Library, Record), LoadError> {
    let (done, started) = oneshot::channel();
    let work = move || {
        // Nobody waits any more: it took too long.
        let _ = done.send(bytes().and_then(|bytes| load(&file, &bytes)));
    };
    std::thread::Builder::new()
        .name("plugin start".to_owned())
        .spawn(work)
        .map_err(|error| LoadError::Start(format!("no thread: {error}")))?;
    match tokio::time::timeout(limit, started).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(LoadError::Start("its thread ended without an answer".to_owned())),
        Err(_) => Err(LoadError::TooSlow(limit.as_millis())),
    }
}

fn load(file: &str, bytes: &[u8]) -> Result<(Library, Record), LoadError> {
    let library = Library::load(file, bytes)?;
    match library.start() {
        Outcome::Ok(record) => Ok((library, record)),
        Outcome::Error(error) => Err(LoadError::Start(error.message)),
        Outcome::Panic(what) => Err(LoadError::Start(format!("it panicked: {what}"))),
    }
}

/// What a plugin says of itself must be fit to stand in records and topics.
fn check(record: &Record) -> Result<(), LoadError> {
    record.name.parse::<PluginName>().map_err(LoadError::Unfit)?;
    if record.actions.is_empty() {
        return Err(LoadError::Unfit("it has no actions".to_owned()));
    }
    let mut seen = HashSet::new();
    for action in &record.actions {
        action.check().map_err(LoadError::Unfit)?;
        if action.callers.unjoined_devices {
            return Err(LoadError::Unfit(format!(
                "`{}` is open to devices that have not joined: only `hand_shake` is",
                action.name
            )));
        }
        if !seen.insert(&action.name) {
            return Err(LoadError::Unfit(format!("it has two actions `{}`", action.name)));
        }
    }
    Ok(())
}

/// A plugin's actions, for the registry.
pub(super) fn actions(plugin: &Arc<Plugin>) -> Vec<Registered> {
    let (name, file): (Arc<str>, Arc<str>) =
        (plugin.name().into(), plugin.allowed.file.as_str().into());
    let registered = |info: &ActionInfo| Registered {
        info: info.clone(),
        origin: Origin::Plugin { name: name.clone(), file: file.clone() },
        action: Arc::new(LoadedAction { info: info.clone(), plugin: plugin.clone() }),
    };
    plugin.record.actions.iter().map(registered).collect()
}

fn failed(allowed: &AllowedPlugin, error: &LoadError) -> PluginReport {
    tracing::error!(file = %allowed.file, %error, "plugin not started");
    let state = if error.is_loaded() { PluginState::Loaded } else { PluginState::Declared };
    let mut report = PluginReport::of_absent(&allowed.file, state, error.to_string());
    report.sha256 = Some(allowed.sha256.as_str().to_owned());
    report.api = error.api();
    report
}

/// The libraries in the folder that nothing names, by name.
pub(super) fn strangers(folder: &Path, is_named: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(files) = folder.read_dir() else { return Vec::new() };
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let is_library = |name: &String| {
        Path::new(name).extension().is_some_and(|end| end == "so" || end == "dylib")
    };
    let mut strangers: Vec<_> =
        names.filter(|name| is_library(name) && !is_named(name)).take(MOST_STRANGERS).collect();
    strangers.sort();
    strangers
}
