//! What was installed from afar, at the next start: loaded if it is still
//! exactly that, and one of the keys has signed it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::load_error::LoadError;
use super::manager::{Entry, Inner, actions};
use super::plugin::Plugin;
use super::signed::{self, Checked, file_name};
use super::{library_file, saved_file};
use crate::config::{PluginName, PluginsSettings, Sha256Hex};
use crate::state::SavedPlugin;

impl Inner {
    /// Loads what was installed, at the start: exactly that.
    pub(super) async fn start_installed(&self) {
        let saved = self.parts.state.plugins();
        if self.parts.settings.remote_install {
            saved_file::clean(&self.folder, |file| self.is_named(file));
        }
        for (name, saved) in saved {
            let started = self.start_one(&name, &saved).await;
            let sha256 = Sha256Hex::try_from(saved.sha256.clone());
            let sha256 = sha256.unwrap_or_else(|_| Sha256Hex::of(b""));
            let allowed = self.allowed(&name, &sha256);
            let failed = started.is_err();
            self.record_start(&allowed, &started);
            self.enter(&allowed, started);
            if failed && let Some(Entry::Absent(report)) = self.plugins.write().last_mut() {
                report.installed = true;
                report.name = Some(name);
                report.version = Some(saved.version);
            }
        }
    }

    async fn start_one(&self, name: &str, saved: &SavedPlugin) -> Result<Arc<Plugin>, LoadError> {
        let not = |why: String| LoadError::NotInstalled(why);
        check_is_on(&self.parts.settings)?;
        let name: PluginName = name.parse().map_err(not)?;
        let sha256 = Sha256Hex::try_from(saved.sha256.clone()).map_err(not)?;
        let checked = read_installed(&self.folder, &name, saved, &self.parts.settings)?;
        self.check_name(name.as_str())?;
        let allowed = self.allowed(name.as_str(), &sha256);
        let (claim, bytes) = (checked.claim, checked.bytes);
        let plugin = self.start(allowed, Some(&claim), move || Ok(bytes)).await?;
        self.parts.registry.add(actions(&plugin)).map_err(LoadError::Unfit)?;
        Ok(plugin)
    }
}

/// Whether what was installed may be loaded at all.
pub(super) fn check_is_on(settings: &PluginsSettings) -> Result<(), LoadError> {
    if settings.remote_install {
        return Ok(());
    }
    Err(LoadError::NotInstalled("`plugins.remote_install` is off in config.json".to_owned()))
}

/// A library of the plugin folder, if its bytes have this SHA-256.
pub(super) fn read_checked(
    folder: &Path,
    file: &str,
    sha256: &Sha256Hex,
) -> Result<Bytes, LoadError> {
    let bytes = library_file::read(&folder.join(file))?;
    let found = Sha256Hex::of(&bytes);
    if found == *sha256 {
        return Ok(bytes.into());
    }
    let found = found.as_str();
    Err(LoadError::NotInstalled(format!(
        "it was changed after it was installed: its SHA-256 is {found}"
    )))
}

/// The library that was installed, if it is still the very same, and one of
/// the keys has signed it.
pub(super) fn read_installed(
    folder: &Path,
    name: &PluginName,
    saved: &SavedPlugin,
    settings: &PluginsSettings,
) -> Result<Checked, LoadError> {
    let sha256 = Sha256Hex::try_from(saved.sha256.clone()).map_err(LoadError::NotInstalled)?;
    let bytes = read_checked(folder, &file_name(name.as_str(), sha256.as_str()), &sha256)?;
    let checked = signed::check(name, bytes, &saved.signature, settings);
    let checked = checked.map_err(|error| LoadError::NotInstalled(error.to_string()))?;
    if checked.claim.version.to_string() != saved.version {
        let signed = checked.claim.version;
        return Err(LoadError::NotInstalled(format!(
            "it is version {signed}, and {} was installed",
            saved.version
        )));
    }
    Ok(checked)
}
