//! From the settings to started plugins: declared, loaded, started, and a
//! report for each, whatever became of it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use latchlight_plugin_api::boundary::{Outcome, Record};
use tokio::sync::oneshot;

use super::library_file;
use super::load_error::LoadError;
use super::loaded_action::LoadedAction;
use super::loader::Library;
use super::plugin::Plugin;
use super::{HostServices, PluginReport, PluginState};
use crate::actions::{Origin, Registered, Registry};
use crate::config::{AllowedPlugin, PluginsSettings};

/// How many libraries that are not allowed are reported.
const MOST_STRANGERS: usize = 100;

/// The plugins of this server; cheap to clone.
#[derive(Clone, Default)]
pub struct PluginHost {
    plugins: Arc<Vec<Entry>>,
}

enum Entry {
    Running(Arc<Plugin>),
    Absent(Box<PluginReport>),
}

impl PluginHost {
    /// Loads and starts what the settings allow, one after the other, and
    /// adds its actions to the registry. What fails is reported and logged,
    /// and the rest goes on. `beside` is the folder of config.json.
    pub async fn start(
        settings: &PluginsSettings,
        beside: &Path,
        services: Arc<dyn HostServices>,
        registry: &Registry,
    ) -> Self {
        let folder = beside.join(&settings.folder);
        let mut names = HashSet::new();
        let mut plugins = Vec::new();
        for allowed in &settings.allow {
            let started = start(&folder, allowed, settings.time_limit()).await;
            let running = started.and_then(|(library, record)| {
                check(&record, &names)?;
                let limit = settings.time_limit();
                let plugin = Plugin::new(library, record, allowed.clone(), services.clone(), limit);
                register(Arc::new(plugin), registry)
            });
            plugins.push(match running {
                Ok(plugin) => {
                    names.insert(plugin.name().to_owned());
                    let (file, version) = (&allowed.file, &plugin.record.version);
                    tracing::info!(plugin = plugin.name(), %version, %file, "plugin started");
                    Entry::Running(plugin)
                }
                Err(error) => Entry::Absent(Box::new(failed(allowed, &error))),
            });
        }
        for file in strangers(&folder, settings) {
            tracing::warn!(%file, "a library in the plugin folder is not allowed, and not loaded");
            let error = "config.json does not allow it: `latchlight plugin allow FILE` prints the \
                         line to add";
            let report = PluginReport::of_absent(&file, PluginState::NotAllowed, error.to_owned());
            plugins.push(Entry::Absent(Box::new(report)));
        }
        Self { plugins: Arc::new(plugins) }
    }

    /// What is known of each plugin: those that config.json names, in its
    /// order, then what else lies in the folder.
    pub fn reports(&self) -> Vec<PluginReport> {
        let report = |entry: &Entry| match entry {
            Entry::Running(plugin) => plugin.report(),
            Entry::Absent(report) => PluginReport::clone(report),
        };
        self.plugins.iter().map(report).collect()
    }
}

/// Reads, loads and starts a library on a thread of its own, which is
/// abandoned when it takes too long.
async fn start(
    folder: &Path,
    allowed: &AllowedPlugin,
    limit: Duration,
) -> Result<(Library, Record), LoadError> {
    let (done, started) = oneshot::channel();
    let (folder, allowed): (PathBuf, _) = (folder.to_owned(), allowed.clone());
    let work = move || {
        // Nobody waits any more: it took too long.
        let _ = done.send(load(&folder, &allowed));
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

fn load(folder: &Path, allowed: &AllowedPlugin) -> Result<(Library, Record), LoadError> {
    let bytes = library_file::read_allowed(folder, allowed)?;
    let library = Library::load(&allowed.file, &bytes)?;
    match library.start() {
        Outcome::Ok(record) => Ok((library, record)),
        Outcome::Error(error) => Err(LoadError::Start(error.message)),
        Outcome::Panic(what) => Err(LoadError::Start(format!("it panicked: {what}"))),
    }
}

/// What a plugin says of itself must be fit to stand in records and topics.
fn check(record: &Record, names: &HashSet<String>) -> Result<(), LoadError> {
    let name = &record.name;
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
        let name = name.escape_debug();
        return Err(LoadError::Unfit(format!(
            "`{name}` is not the name of a plugin: 1 to 64 of a-z, 0-9, _ and -"
        )));
    }
    if names.contains(name) {
        return Err(LoadError::Unfit(format!("there is a plugin `{name}` already")));
    }
    if record.actions.is_empty() {
        return Err(LoadError::Unfit("it has no actions".to_owned()));
    }
    for action in &record.actions {
        action.check().map_err(LoadError::Unfit)?;
        if action.callers.unjoined_devices {
            return Err(LoadError::Unfit(format!(
                "`{}` is open to devices that have not joined: only `hand_shake` is",
                action.name
            )));
        }
    }
    Ok(())
}

/// Adds a plugin's actions: all of them, or none.
fn register(plugin: Arc<Plugin>, registry: &Registry) -> Result<Arc<Plugin>, LoadError> {
    let mut seen = HashSet::new();
    let double = plugin.record.actions.iter().find(|action| !seen.insert(&action.name));
    if let Some(double) = double {
        return Err(LoadError::Unfit(format!("it has two actions `{}`", double.name)));
    }
    let (name, file): (Arc<str>, Arc<str>) =
        (plugin.name().into(), plugin.allowed.file.as_str().into());
    let actions = plugin.record.actions.iter().map(|info| Registered {
        info: info.clone(),
        origin: Origin::Plugin { name: name.clone(), file: file.clone() },
        action: Arc::new(LoadedAction { info: info.clone(), plugin: plugin.clone() }),
    });
    registry.add(actions.collect()).map_err(LoadError::Unfit)?;
    Ok(plugin)
}

fn failed(allowed: &AllowedPlugin, error: &LoadError) -> PluginReport {
    tracing::error!(file = %allowed.file, %error, "plugin not started");
    let state = if error.is_loaded() { PluginState::Loaded } else { PluginState::Declared };
    let mut report = PluginReport::of_absent(&allowed.file, state, error.to_string());
    report.sha256 = Some(allowed.sha256.as_str().to_owned());
    report.api = error.api();
    report
}

/// The libraries in the folder that config.json does not name, by name.
pub(super) fn strangers(folder: &Path, settings: &PluginsSettings) -> Vec<String> {
    let Ok(files) = folder.read_dir() else { return Vec::new() };
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let is_library = |name: &String| {
        Path::new(name).extension().is_some_and(|end| end == "so" || end == "dylib")
    };
    let is_named = |name: &String| settings.allow.iter().any(|allowed| allowed.file == *name);
    let mut strangers: Vec<_> =
        names.filter(|name| is_library(name) && !is_named(name)).take(MOST_STRANGERS).collect();
    strangers.sort();
    strangers
}
