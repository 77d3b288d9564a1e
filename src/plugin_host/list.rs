//! `latchlight plugin list`.

use std::collections::BTreeMap;
use std::path::Path;

use super::load_error::LoadError;
use super::signed::file_name;
use super::{library_file, manager, restored};
use crate::config::PluginsSettings;
use crate::state::SavedPlugin;

/// The plugins that config.json names, in its order, those that were installed
/// from afar, and the libraries that only lie in the folder: a line each, with
/// what is to be said of the file. Nothing is loaded. `beside` is the folder
/// of config.json.
pub fn list(
    settings: &PluginsSettings,
    installed: &BTreeMap<String, SavedPlugin>,
    beside: &Path,
) -> String {
    let folder = beside.join(&settings.folder);
    let named = settings.allow.iter().map(|allowed| {
        let read = library_file::read_allowed(&folder, allowed)
            .and_then(|bytes| library_file::check_is_plugin(&bytes));
        (allowed.file.clone(), said("allowed".to_owned(), read))
    });
    let saved = installed.iter().map(|(name, saved)| {
        let read = name
            .parse()
            .map_err(LoadError::NotInstalled)
            .and_then(|name| restored::read_installed(&folder, &name, saved, settings).map(|_| ()));
        let read = read.and_then(|()| restored::check_is_on(settings));
        let what = format!("installed: {name} {}", saved.version);
        (file_name(name, &saved.sha256), said(what, read))
    });
    let is_named = |file: &str| {
        settings.allow.iter().any(|allowed| allowed.file == file)
            || installed.iter().any(|(name, saved)| file_name(name, &saved.sha256) == file)
    };
    let strangers = manager::strangers(&folder, is_named);
    let strangers = strangers.into_iter().map(|file| {
        let how = format!("latchlight plugin allow {}", folder.join(&file).display());
        (file, format!("not allowed: `{how}` prints the entry"))
    });
    let rows: Vec<_> = named.chain(saved).chain(strangers).collect();
    if rows.is_empty() {
        let folder = folder.display();
        return format!("no plugins: plugins.allow is empty, and no library lies in {folder}");
    }
    let width = rows.iter().map(|(file, _)| file.chars().count()).max().unwrap_or_default();
    let lines = rows.iter().map(|(file, what)| format!("{file:width$}  {what}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn said(what: String, read: Result<(), LoadError>) -> String {
    match read {
        Ok(()) => what,
        Err(error) => format!("not to be loaded: {error}"),
    }
}
