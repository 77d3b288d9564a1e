//! Where what a server has is, by its configuration.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;

use crate::config::Settings;
use crate::state::{ConfigFile, installed_plugins};

/// The folders of a backup.
pub(super) const DATA: &str = "data";
pub(super) const PLUGINS: &str = "plugins";
/// What lies beside config.json: certificates, a ledger.
pub(super) const BESIDE: &str = "beside";

/// The house's own authority and what it signed.
const TLS: &str = "tls";

/// What a configuration says.
pub(super) struct Contents {
    /// The folder of config.json.
    pub(super) beside: PathBuf,
    pub(super) data: PathBuf,
    pub(super) plugins: PathBuf,
    pub(super) settings: Settings,
    /// The libraries that may be loaded, by their names in their folder.
    pub(super) libraries: BTreeSet<String>,
}

impl Contents {
    /// Reads a configuration whose folder is, or is to be, `beside`.
    pub(super) fn read(file: &ConfigFile, beside: &Path) -> anyhow::Result<Self> {
        let sections = file.read()?;
        let settings = Settings::load(&sections.settings)?;
        let installed = installed_plugins(&sections.state).context("read the section `state`")?;
        let allowed = settings.plugins.allow.iter().map(|allowed| allowed.file.clone());
        let installed = installed.iter().map(|(name, saved)| format!("{name}-{}.so", saved.sha256));
        Ok(Self {
            beside: beside.to_owned(),
            data: beside.join(&settings.data),
            plugins: beside.join(&settings.plugins.folder),
            libraries: allowed.chain(installed).collect(),
            settings,
        })
    }

    /// What lies beside config.json and is the server's, and what the settings
    /// name that lies elsewhere.
    pub(super) fn files_beside(&self) -> io::Result<(BTreeSet<String>, Vec<PathBuf>)> {
        let (mut beside, mut elsewhere) = (BTreeSet::new(), Vec::new());
        for name in names(&self.beside.join(TLS))? {
            beside.insert(format!("{TLS}/{name}"));
        }
        let Settings { mqtt, oidc, tls, .. } = &self.settings;
        let named = [&mqtt.ledger, &mqtt.ca_file, &mqtt.cert_file, &mqtt.key_file];
        let named = named.into_iter().chain([&oidc.client_secret_file, &oidc.ca_file]);
        let named = named.filter_map(|file| file.as_deref());
        for file in tls.files().map(|(_, file)| file).chain(named) {
            let mut parts = file.components();
            match file.to_str() {
                Some(name) if parts.all(|part| matches!(part, Component::Normal(_))) => {
                    beside.insert(name.to_owned());
                }
                _ => elsewhere.push(file.to_owned()),
            }
        }
        Ok((beside, elsewhere))
    }
}

/// The names of the files in a folder that are whole: none that begins with a
/// dot. A folder that is not there has none.
pub(super) fn names(folder: &Path) -> io::Result<BTreeSet<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries?,
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        names.extend(entry.file_name().into_string().ok().filter(|name| !name.starts_with('.')));
    }
    Ok(names)
}
