//! `latchlight plugin allow FILE`.

use std::path::Path;

use anyhow::Context as _;

use super::library_file;
use crate::config::Sha256Hex;

/// The line that goes into config.json, under `settings.plugins.allow`, to
/// have this file loaded. The file is read and hashed, and nothing in it is
/// executed.
///
/// # Errors
/// It is not a file that can be read, is reached through a link, or is no
/// plugin.
pub fn allow_line(path: &Path) -> anyhow::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} has no file name in UTF-8", path.display()))?;
    let read = library_file::read(path)
        .and_then(|bytes| library_file::check_is_plugin(&bytes).map(|()| bytes));
    let bytes = read.map_err(|error| anyhow::anyhow!("allow {}: {error}", path.display()))?;
    let sha256 = Sha256Hex::of(&bytes);
    let (name, sha256) = (serde_json::json!(name), sha256.as_str());
    Ok(format!(r#"{{"file": {name}, "sha256": "{sha256}", "grants": {{}}}}"#))
}
