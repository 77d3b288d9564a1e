//! `latchlight plugin list`.

use std::path::Path;

use super::{library_file, manager};
use crate::config::PluginsSettings;

/// The plugins that config.json names, in its order, and the libraries that
/// only lie in the folder: a line each, with what is to be said of the file.
/// Nothing is loaded. `beside` is the folder of config.json.
pub fn list(settings: &PluginsSettings, beside: &Path) -> String {
    let folder = beside.join(&settings.folder);
    let named = settings.allow.iter().map(|allowed| {
        let read = library_file::read_allowed(&folder, allowed)
            .and_then(|bytes| library_file::check_is_plugin(&bytes));
        match read {
            Ok(()) => (allowed.file.clone(), "allowed".to_owned()),
            Err(error) => (allowed.file.clone(), format!("not to be loaded: {error}")),
        }
    });
    let strangers = manager::strangers(&folder, settings);
    let strangers = strangers.into_iter().map(|file| {
        let how = format!("latchlight plugin allow {}", folder.join(&file).display());
        (file, format!("not allowed: `{how}` prints the entry"))
    });
    let rows: Vec<_> = named.chain(strangers).collect();
    if rows.is_empty() {
        let folder = folder.display();
        return format!("no plugins: plugins.allow is empty, and no library lies in {folder}");
    }
    let width = rows.iter().map(|(file, _)| file.chars().count()).max().unwrap_or_default();
    let lines = rows.iter().map(|(file, what)| format!("{file:width$}  {what}"));
    lines.collect::<Vec<_>>().join("\n")
}
