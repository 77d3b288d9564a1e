//! What `plugins` says of libraries that come from afar: whose signature is
//! taken, and what they may ask of the server, by name.

use std::fmt;
use std::str::FromStr;

use minisign_verify::PublicKey;
use serde::Deserialize;

use super::PluginGrants;

/// A plugin's name: 1 to 64 of `a-z`, `0-9`, `_` and `-`. It is part of a
/// file's name, so there is no dot and no slash in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PluginName(String);

/// A public key of minisign, whose signature lets a library be installed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SigningKey {
    text: String,
    key: PublicKey,
}

/// What is said of a plugin that was installed from afar, or will be.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstalledPlugin {
    /// What it may ask of the server; nothing, where nothing is said.
    pub grants: PluginGrants,
    /// The plugin's own settings, given to each of its calls.
    pub settings: serde_json::Value,
}

impl PluginName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        if (1..=64).contains(&name.len()) && name.bytes().all(fits) {
            return Ok(Self(name.to_owned()));
        }
        let shown: String = name.chars().take(80).flat_map(char::escape_debug).collect();
        Err(format!("`{shown}` is not the name of a plugin: 1 to 64 of a-z, 0-9, _ and -"))
    }
}

impl TryFrom<String> for PluginName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SigningKey {
    /// The key itself.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }
}

impl FromStr for SigningKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = PublicKey::from_base64(text).map_err(|_| {
            "not a public key of minisign: 56 characters of base64, the second line of its file"
        })?;
        Ok(Self { text: text.to_owned(), key })
    }
}

impl TryFrom<String> for SigningKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Without the plugin's own settings: there may be secrets among them.
impl fmt::Debug for InstalledPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstalledPlugin").field("grants", &self.grants).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    /// Of minisign's own documentation.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    fn load(plugins: &str) -> Result<Settings, String> {
        let section = format!(r#"{{"plugins": {plugins}}}"#);
        Settings::load_with(&section, Default::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_comes_from_afar_unless_it_is_said() {
        let plugins = load("{}").expect("settings").plugins;
        assert!(!plugins.remote_install && plugins.keys.is_empty());
    }

    #[test]
    fn nothing_comes_from_afar_unsigned() {
        let error = load(r#"{"remote_install": true}"#).expect_err("no key");
        assert!(error.contains("plugins.remote_install"), "{error}");
        let key = format!(r#"{{"remote_install": true, "keys": ["{KEY}"]}}"#);
        assert_eq!(load(&key).expect("a key").plugins.keys.len(), 1);
        let short = load(&format!(r#"{{"keys": ["{}"]}}"#, &KEY[1..])).expect_err("short");
        assert!(short.contains("plugins.keys[0]"), "{short}");
    }

    #[test]
    fn an_installed_plugin_has_the_grants_that_stand_at_its_name() {
        let plugins = load(
            r#"{"installed": {"night_mode": {"settings": {"A": 1}, "grants": {"alerts": ["x"]}}}}"#,
        );
        let plugins = plugins.expect("settings").plugins;
        let name: PluginName = "night_mode".parse().expect("a name");
        assert!(plugins.installed[&name].grants.may_alert("x"));
        let error = load(r#"{"installed": {"../x": {}}}"#).expect_err("a path");
        assert!(error.contains("plugins.installed"), "{error}");
    }

    #[test]
    fn a_name_has_no_way_out_of_a_folder() {
        for name in ["", ".", "..", "a/b", "../a", "a.b", "A", "a b", "ä", "a\0", &"x".repeat(65)]
        {
            assert!(name.parse::<PluginName>().is_err(), "{name}");
        }
        assert!("night-mode_2".parse::<PluginName>().is_ok());
    }
}
