//! Plugins from afar: installed by an owner where config.json lets them be,
//! if one of its keys has signed them; loaded beside their older version;
//! remembered in the state, so that the next start loads that and nothing
//! else (`restored.rs`); and removed.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::SemaphorePermit;
use utoipa::ToSchema;

use super::install_error::InstallError;
use super::manager::{Entry, HostParts, Inner, PluginHost, actions};
use super::plugin::Plugin;
use super::saved_file;
use super::signed::{self, Checked, Signed, file_name};
use super::version::Version;
use crate::config::{AllowedPlugin, PluginName, Sha256Hex};
use crate::events::{Event, Kind};
use crate::identity::{Principal, Scope};
use crate::state::SavedPlugin;

/// How many libraries may be loaded from afar between two starts: none is
/// unloaded, so each takes memory.
const MOST_LOADS: usize = 100;

/// Of how many removed plugins the versions are remembered: none is forgotten,
/// or an older one could come back.
const MOST_REMOVED: usize = 1000;

/// What the record calls it to install a plugin, and to remove one.
pub(super) const INSTALL: &str = "install";
const REMOVE: &str = "remove";

/// A plugin as it was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Installed {
    /// Its name.
    #[schema(example = "house")]
    pub name: String,
    /// Its version.
    #[schema(example = "1.2.0")]
    pub version: String,
    /// Its file in the plugin folder.
    #[schema(example = "libhouse.so")]
    pub file: String,
    /// The SHA-256 of its library.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub sha256: String,
    /// Its actions.
    #[schema(example = json!(["leave_home"]))]
    pub actions: Vec<String>,
    /// The version whose place it took.
    #[schema(example = "1.1.0")]
    pub replaced: Option<String>,
}

/// A place for a library that is received whole.
pub struct Upload<'a>(#[allow(dead_code)] SemaphorePermit<'a>);

impl PluginHost {
    /// Whether somebody may install this: asked before a library is received.
    ///
    /// # Errors
    /// Not, and why; or too many are being received.
    pub fn admit(&self, principal: &Principal, name: &str) -> Result<Upload<'_>, InstallError> {
        let inner = &self.inner;
        let permitted = inner.permit(principal).and_then(|()| parse_name(name));
        inner.refusal(principal, INSTALL, name, permitted.as_ref().err());
        permitted?;
        let busy = |_| InstallError::Busy("plugins are being sent at this moment".to_owned());
        Ok(Upload(inner.uploads.try_acquire().map_err(busy)?))
    }

    /// Installs a library that came whole, and loads it. The work goes on
    /// when nobody waits for it any more.
    ///
    /// # Errors
    /// It is not installed, and why.
    pub async fn install(
        &self,
        principal: &Principal,
        name: &str,
        library: Bytes,
        signature: String,
    ) -> Result<Installed, InstallError> {
        let (inner, by) = (self.inner.clone(), principal.clone());
        let permitted = self.inner.permit(principal).and_then(|()| parse_name(name));
        let work = async move {
            let checked = inner.check(permitted?, library, signature).await?;
            inner.install(&by, checked).await
        };
        let result = self.inner.finish(work).await;
        self.inner.refusal(principal, INSTALL, name, result.as_ref().err());
        result
    }

    /// Removes a plugin that was installed from afar: its actions are gone,
    /// and the state forgets it. Calls that are under way go on.
    ///
    /// # Errors
    /// It is not removed, and why.
    pub async fn remove(&self, principal: &Principal, name: &str) -> Result<(), InstallError> {
        let (inner, by) = (self.inner.clone(), principal.clone());
        let permitted = self.inner.permit(principal).and_then(|()| parse_name(name));
        let work = async move { inner.remove(&by, &permitted?).await };
        let result = self.inner.finish(work).await;
        self.inner.refusal(principal, REMOVE, name, result.as_ref().err());
        result
    }

    /// The most bytes that a library from afar may have.
    pub fn max_bytes(&self) -> usize {
        self.inner.parts.settings.max_bytes
    }
}

pub(super) fn parse_name(name: &str) -> Result<PluginName, InstallError> {
    name.parse().map_err(InstallError::Unfit)
}

impl Inner {
    /// Whether somebody may install or remove anything here.
    pub(super) fn permit(&self, principal: &Principal) -> Result<(), InstallError> {
        if !self.parts.settings.remote_install {
            return Err(InstallError::Off);
        }
        let permissions = &self.parts.permissions;
        permissions.may(principal, Scope::Admin).map_err(InstallError::NotAllowed)
    }

    /// The same, and a refusal is recorded.
    pub(super) fn permit_action(&self, principal: &Principal) -> Result<(), InstallError> {
        let permitted = self.permit(principal);
        self.refusal(principal, INSTALL, "a plugin", permitted.as_ref().err());
        permitted
    }

    /// Records that somebody's wish came to nothing, where it did.
    pub(super) fn refusal(
        &self,
        principal: &Principal,
        action: &str,
        name: &str,
        error: Option<&InstallError>,
    ) {
        let Some(error) = error else { return };
        let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
        tracing::warn!(%principal, %name, why = %error, "a plugin from afar is refused");
        let (event, why) = (Event::of(Kind::Plugin, principal, action), format!("{name}: {error}"));
        let events = &self.parts.events;
        match error {
            InstallError::Busy(_) | InstallError::Storage(_) => events.record(event.failed(&why)),
            _ => events.refused(event.refused(&why)),
        }
    }

    /// Records what is about to be done: it is on disk when this returns.
    async fn record(&self, event: Event) -> Result<(), InstallError> {
        let recorded = self.parts.events.record_now(event).await;
        recorded.map_err(|error| InstallError::Storage(error.to_string()))
    }

    /// Does the work to its end, whoever waits for it.
    pub(super) async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, InstallError>> + Send + 'static,
    ) -> Result<T, InstallError> {
        let failed = |_| InstallError::Storage("the server failed; its log has more".to_owned());
        self.runtime.spawn(work).await.map_err(failed)?
    }

    /// Checks a library on a thread where that may take its time.
    pub(super) async fn check(
        self: &Arc<Self>,
        name: PluginName,
        bytes: Bytes,
        signature: String,
    ) -> Result<Checked, InstallError> {
        // What can be refused at once is.
        let signed = Signed::read(&signature)?;
        signed.claim.check(&name)?;
        let inner = self.clone();
        let check = move || signed::check(&name, bytes, &signature, &inner.parts.settings);
        let failed = |_| InstallError::Storage("the server failed; its log has more".to_owned());
        tokio::task::spawn_blocking(check).await.map_err(failed)?
    }

    /// Whether a version of a plugin may take its place: it is newer than the
    /// one that is installed, or the very same.
    pub(super) fn check_place(
        &self,
        name: &PluginName,
        version: Version,
        sha256: &Sha256Hex,
    ) -> Result<Option<SavedPlugin>, InstallError> {
        let unfit = |why: String| Err(InstallError::Unfit(why));
        if self.running(name.as_str()).is_some_and(|plugin| !plugin.installed) {
            return unfit(format!("config.json has a plugin {name}: take it out of plugins.allow"));
        }
        let installed = self.parts.state.plugins();
        let most = self.parts.settings.max_installed;
        let Some(known) = installed.get(name.as_str()) else {
            if installed.len() >= most {
                return unfit(format!("there are {most} installed plugins, as many as may be"));
            }
            let removed = self.parts.state.removed_plugins();
            let highest = removed.get(name.as_str()).and_then(|known| known.parse().ok());
            return match highest {
                Some(highest) if version < highest => {
                    unfit(format!("{name} {highest} was removed, and {version} is older"))
                }
                _ => Ok(None),
            };
        };
        let same = known.sha256 == sha256.as_str();
        if !same && known.version.parse().is_ok_and(|known: Version| version <= known) {
            let known = &known.version;
            return unfit(format!("{name} {known} is installed, and {version} is not newer"));
        }
        Ok(Some(known.clone()))
    }

    /// Saves a library that was checked, loads it, and gives it the place of
    /// the version that runs.
    pub(super) async fn install(
        &self,
        principal: &Principal,
        checked: Checked,
    ) -> Result<Installed, InstallError> {
        let mut loads = self.installing.lock().await;
        let Checked { claim, sha256, signature, bytes } = checked;
        let before = self.check_place(&claim.name, claim.version, &sha256)?;
        let name = claim.name.as_str();
        let known = before.as_ref().filter(|before| before.sha256 == sha256.as_str());
        let running = self.running(name);
        if let (Some(_), Some(plugin)) = (known, &running) {
            let version = plugin.record.version.clone();
            return Ok(Installed::of(plugin, Some(version)));
        }
        if *loads >= MOST_LOADS {
            return Err(InstallError::Busy(format!(
                "{MOST_LOADS} libraries were loaded from afar since the server started: start it anew"
            )));
        }
        *loads += 1;
        let allowed = self.allowed(name, &sha256);
        saved_file::save(&self.folder, &allowed.file, bytes.clone()).await?;
        let state = &self.parts.state;
        let taken = async {
            let plugin = self.start(allowed.clone(), Some(&claim), move || Ok(bytes)).await?;
            let change = self.parts.registry.change(Some(name), actions(&plugin));
            let change = change.map_err(InstallError::Unfit)?;
            let version = claim.version.to_string();
            let in_place_of = before.as_ref().map(|before| format!(", was {}", before.version));
            let what = format!(
                "{name} {version}{}, SHA-256 {}",
                in_place_of.unwrap_or_default(),
                sha256.as_str()
            );
            self.record(Event::of(Kind::Plugin, principal, INSTALL).detail(&what)).await?;
            let saved = SavedPlugin { version, sha256: sha256.as_str().to_owned(), signature };
            let saved = state.set_plugin(name, saved).await;
            saved.map_err(|error| InstallError::Storage(error.to_string()))?;
            self.parts.registry.apply(change);
            Ok(plugin)
        };
        let plugin = match taken.await {
            Ok(plugin) => plugin,
            Err(error) => {
                if known.is_none() {
                    saved_file::remove(&self.folder, &allowed.file).await;
                }
                return Err(error);
            }
        };
        self.forget(name);
        self.enter(&allowed, Ok(plugin.clone()));
        state.set_actions(self.parts.registry.files());
        if let Some(before) = before.as_ref().filter(|_| known.is_none()) {
            self.remove_library(name, before).await;
        }
        Ok(Installed::of(&plugin, before.map(|before| before.version)))
    }

    async fn remove(&self, principal: &Principal, name: &PluginName) -> Result<(), InstallError> {
        let _turn = self.installing.lock().await;
        let HostParts { state, registry, .. } = &self.parts;
        let known = state.plugins().remove(name.as_str()).ok_or_else(|| {
            InstallError::Unknown(format!("no plugin {name} was installed from afar"))
        })?;
        let removed = state.removed_plugins();
        let before = removed.get(name.as_str());
        if before.is_none() && removed.len() >= MOST_REMOVED {
            return Err(InstallError::Busy(format!(
                "{MOST_REMOVED} plugins were removed, and the versions of no more are remembered"
            )));
        }
        let version = |text: &String| text.parse::<Version>().ok();
        let highest = before.filter(|before| version(before) > version(&known.version));
        let highest = highest.unwrap_or(&known.version).clone();
        let what = format!("{name} {}, SHA-256 {}", known.version, known.sha256);
        self.record(Event::of(Kind::Plugin, principal, REMOVE).detail(&what)).await?;
        let saved = state.remove_plugin(name.as_str(), highest).await;
        saved.map_err(|error| InstallError::Storage(error.to_string()))?;
        if self.running(name.as_str()).is_some_and(|plugin| plugin.installed)
            && let Ok(change) = registry.change(Some(name.as_str()), Vec::new())
        {
            registry.apply(change);
        }
        self.forget(name.as_str());
        state.set_actions(registry.files());
        self.remove_library(name.as_str(), &known).await;
        Ok(())
    }

    /// Removes the library of a plugin that the state has forgotten.
    async fn remove_library(&self, name: &str, saved: &SavedPlugin) {
        if Sha256Hex::try_from(saved.sha256.clone()).is_ok() {
            saved_file::remove(&self.folder, &file_name(name, &saved.sha256)).await;
        }
    }

    /// Takes an installed plugin out of what is known of each.
    fn forget(&self, name: &str) {
        self.plugins.write().retain(|entry| match entry {
            Entry::Running(plugin) => !(plugin.installed && plugin.name() == name),
            Entry::Absent(report) => !(report.installed && report.name.as_deref() == Some(name)),
        });
    }

    /// What config.json grants an installed plugin: nothing, unless it says so
    /// at its name.
    pub(super) fn allowed(&self, name: &str, sha256: &Sha256Hex) -> AllowedPlugin {
        let said = self.parts.settings.installed.iter().find(|(said, _)| said.as_str() == name);
        let said = said.map(|(_, said)| said.clone()).unwrap_or_default();
        AllowedPlugin {
            file: file_name(name, sha256.as_str()),
            sha256: sha256.clone(),
            grants: said.grants,
            settings: said.settings,
        }
    }
}

impl Installed {
    pub(super) fn of(plugin: &Plugin, replaced: Option<String>) -> Self {
        Self {
            name: plugin.name().to_owned(),
            version: plugin.record.version.clone(),
            file: plugin.allowed.file.clone(),
            sha256: plugin.allowed.sha256.as_str().to_owned(),
            actions: plugin.record.actions.iter().map(|action| action.name.clone()).collect(),
            replaced,
        }
    }
}
