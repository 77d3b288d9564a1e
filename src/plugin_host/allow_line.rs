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
/// It is not a file that can be read, or is reached through a link.
pub fn allow_line(path: &Path) -> anyhow::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} has no file name in UTF-8", path.display()))?;
    let bytes = library_file::read(path)
        .map_err(|error| anyhow::anyhow!("allow {}: {error}", path.display()))?;
    let sha256 = Sha256Hex::of(&bytes);
    let (name, sha256) = (serde_json::json!(name), sha256.as_str());
    Ok(format!(r#"{{"file": {name}, "sha256": "{sha256}", "grants": {{}}}}"#))
}

#[cfg(test)]
mod tests {
    use super::allow_line;
    use crate::config::AllowedPlugin;

    #[test]
    fn the_line_is_an_entry_of_the_settings() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("lib\"x.so");
        std::fs::write(&file, b"abc").expect("write");
        let line = allow_line(&file).expect("line");
        let entry: AllowedPlugin = serde_json::from_str(&line).expect("an entry");
        assert_eq!(entry.file, "lib\"x.so");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(entry.sha256.as_str(), sha256);
        assert!(allow_line(folder.path()).is_err());
    }
}
