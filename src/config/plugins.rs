//! `plugins`: which libraries are loaded, and what they may ask of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use latchlight_mqtt::TopicFilter;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::{InstalledPlugin, PluginName, SigningKey, value};
use crate::commands::Verb;
use crate::state::DeviceId;

/// The settings of plugins.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PluginsSettings {
    /// The folder with the libraries; below the folder of config.json where
    /// it is relative.
    pub folder: PathBuf,
    /// The libraries that are loaded, in this order; no others are.
    #[serde(deserialize_with = "value::list")]
    pub allow: Vec<AllowedPlugin>,
    /// How long a plugin may take to start, and for each call.
    pub time_limit_ms: u64,
    /// An owner may install plugins from afar, and those that were are loaded.
    pub remote_install: bool,
    /// Whose signature lets a plugin be installed, as public keys of minisign.
    #[serde(deserialize_with = "value::list")]
    pub keys: Vec<SigningKey>,
    /// The most bytes of a library that is installed from afar.
    pub max_bytes: usize,
    /// How many plugins may be installed from afar.
    pub max_installed: usize,
    /// What is said of those, by name.
    pub installed: BTreeMap<PluginName, InstalledPlugin>,
}

/// A library that may be loaded. It is trusted like the server itself.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedPlugin {
    /// The file's name, directly in the folder.
    pub file: String,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: Sha256Hex,
    /// What it may ask of the server; nothing, where nothing is said.
    #[serde(default)]
    pub grants: PluginGrants,
    /// The plugin's own settings, given to each of its calls.
    #[serde(default)]
    pub settings: serde_json::Value,
}

/// What a plugin may ask of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PluginGrants {
    /// Which devices it may operate.
    pub commands: Vec<CommandGrant>,
    /// Which devices it sees, beside those that it may operate.
    pub sees: Vec<GrantedDevice>,
    /// Which alerts it may raise.
    pub alerts: Vec<String>,
    /// Where it may publish: topic filters. The server's own topics and the
    /// devices' command topics stay closed whatever stands here.
    pub topics: Vec<TopicGrant>,
}

/// A plugin may operate devices.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandGrant {
    /// What it may have them do: `lock`, `unlock`, `on`, `off`.
    pub actions: Vec<Verb>,
    /// Which devices; `*` is every one.
    pub devices: Vec<GrantedDevice>,
}

/// A device, or every one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum GrantedDevice {
    /// `*`
    Every,
    /// This one.
    One(DeviceId),
}

impl PartialSchema for GrantedDevice {
    fn schema() -> RefOr<Schema> {
        let device = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A device's id, or `*` for every one."))
            .pattern(Some(r"^(\*|[a-z0-9][a-z0-9_-]{0,63})$"))
            .examples(["front-door"]);
        device.into()
    }
}

impl ToSchema for GrantedDevice {}

/// A topic filter that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TopicGrant(String);

/// A SHA-256 in 64 hexadecimal digits, lower case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Sha256Hex(String);

/// Without the plugin's own settings: there may be secrets among them.
impl fmt::Debug for AllowedPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllowedPlugin")
            .field("file", &self.file)
            .field("sha256", &self.sha256)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

impl Default for PluginsSettings {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("plugins"),
            allow: Vec::new(),
            time_limit_ms: 5000,
            remote_install: false,
            keys: Vec::new(),
            max_bytes: 16 * 1024 * 1024,
            max_installed: 16,
            installed: BTreeMap::new(),
        }
    }
}

impl PluginsSettings {
    /// How long a plugin may take to start, and for each call.
    pub fn time_limit(&self) -> Duration {
        Duration::from_millis(self.time_limit_ms)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !(10..=300_000).contains(&self.time_limit_ms) {
            return Err(format!(
                "plugins.time_limit_ms: {} is not 10 to 300000",
                self.time_limit_ms
            ));
        }
        if self.remote_install && self.keys.is_empty() {
            return Err("plugins.remote_install: plugins.keys has no key that may sign".to_owned());
        }
        if !(1024..=256 * 1024 * 1024).contains(&self.max_bytes) {
            return Err(format!("plugins.max_bytes: {} is not 1024 to 268435456", self.max_bytes));
        }
        if self.max_installed > 1000 {
            return Err(format!("plugins.max_installed: {} is more than 1000", self.max_installed));
        }
        let mut files = BTreeSet::new();
        for (n, plugin) in self.allow.iter().enumerate() {
            let file = &plugin.file;
            if !is_plain_name(file) {
                return Err(format!(
                    "plugins.allow[{n}].file: `{}` is not the name of a file directly in plugins.folder",
                    file.escape_debug()
                ));
            }
            if !files.insert(file) {
                return Err(format!("plugins.allow[{n}].file: `{file}` stands there twice"));
            }
        }
        Ok(())
    }
}

/// Whether this names a file of a folder, and nothing outside of it.
fn is_plain_name(file: &str) -> bool {
    let mut parts = Path::new(file).components();
    let one = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    one && !file.contains(['/', '\\', '\0'])
}

impl PluginGrants {
    /// Whether the plugin may have this done to that device.
    pub fn may_command(&self, verb: Verb, device: &DeviceId) -> bool {
        self.commands.iter().any(|grant| {
            grant.actions.contains(&verb) && grant.devices.iter().any(|d| d.is(device))
        })
    }

    /// Whether the plugin knows of that device.
    pub fn may_see(&self, device: &DeviceId) -> bool {
        let operated = self.commands.iter().flat_map(|grant| &grant.devices);
        self.sees.iter().chain(operated).any(|granted| granted.is(device))
    }

    /// Whether the plugin may raise this alert.
    pub fn may_alert(&self, what: &str) -> bool {
        self.alerts.iter().any(|alert| alert == what)
    }

    /// Whether the plugin may publish here.
    pub fn may_publish(&self, topic: &str) -> bool {
        self.topics.iter().any(|grant| grant.matches(topic))
    }
}

impl GrantedDevice {
    /// Whether this device is meant.
    pub fn is(&self, device: &DeviceId) -> bool {
        match self {
            Self::Every => true,
            Self::One(id) => id == device,
        }
    }
}

impl TryFrom<String> for GrantedDevice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "*" {
            return Ok(Self::Every);
        }
        text.parse().map(Self::One).map_err(|error| format!("{error}; or `*` for every device"))
    }
}

impl From<GrantedDevice> for String {
    fn from(device: GrantedDevice) -> Self {
        match device {
            GrantedDevice::Every => "*".to_owned(),
            GrantedDevice::One(id) => id.into(),
        }
    }
}

impl TopicGrant {
    fn matches(&self, topic: &str) -> bool {
        TopicFilter::try_from(self.0.as_str()).is_ok_and(|filter| filter.matches(topic))
    }
}

impl TryFrom<String> for TopicGrant {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match TopicFilter::try_from(text.as_str()) {
            Ok(_) if !text.starts_with('$') => Ok(Self(text)),
            _ => Err(format!("`{}` is not a topic filter without `$`", text.escape_debug())),
        }
    }
}

impl Sha256Hex {
    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The SHA-256 of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        let digits = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self(digits)
    }
}

impl TryFrom<String> for Sha256Hex {
    type Error = String;

    fn try_from(mut text: String) -> Result<Self, Self::Error> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            text.make_ascii_lowercase();
            Ok(Self(text))
        } else {
            Err("not a SHA-256: 64 hexadecimal digits (`latchlight plugin allow FILE` prints them)"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn load(plugins: &str) -> Result<PluginsSettings, String> {
        let section = format!(r#"{{"plugins": {plugins}}}"#);
        Settings::load_with(&section, std::collections::HashMap::new())
            .map(|settings| settings.plugins)
            .map_err(|error| error.to_string())
    }

    fn allowing(entry: &str) -> Result<AllowedPlugin, String> {
        let sha256 = "AB".repeat(32);
        let plugins = load(&format!(r#"{{"allow": [{{"sha256": "{sha256}", {entry}}}]}}"#))?;
        Ok(plugins.allow.into_iter().next().expect("one entry"))
    }

    #[test]
    fn a_plugin_is_granted_nothing_unless_it_is_said() {
        let plugin = allowing(r#""file": "libx.so""#).expect("allowed");
        let door = "front-door".parse().expect("id");
        assert_eq!(plugin.sha256.as_str(), "ab".repeat(32));
        assert!(!plugin.grants.may_command(Verb::Lock, &door));
        assert!(!plugin.grants.may_see(&door));
        assert!(!plugin.grants.may_alert("doorbell"));
        assert!(!plugin.grants.may_publish("house/night"));
    }

    #[test]
    fn grants_name_verbs_devices_alerts_and_topics() {
        let plugin = allowing(
            r#""file": "libx.so", "settings": {"Quiet_ms": 5}, "grants": {
                "commands": [{"actions": ["lock"], "devices": ["*"]},
                             {"actions": ["unlock"], "devices": ["shed"]}],
                "alerts": ["doorbell"], "topics": ["house/+/night"]}"#,
        )
        .expect("allowed");
        let (door, shed) = ("front-door".parse().expect("id"), "shed".parse().expect("id"));
        assert!(plugin.grants.may_command(Verb::Lock, &door));
        assert!(!plugin.grants.may_command(Verb::Unlock, &door));
        assert!(plugin.grants.may_command(Verb::Unlock, &shed));
        assert!(plugin.grants.may_alert("doorbell") && !plugin.grants.may_alert("stranger"));
        assert!(plugin.grants.may_publish("house/a/night"));
        assert!(!plugin.grants.may_publish("house/night"));
        assert_eq!(plugin.settings["Quiet_ms"], 5);
    }

    #[test]
    fn a_plugin_sees_what_it_may_operate_and_what_it_is_said_to_see() {
        let plugin = allowing(
            r#""file": "libx.so", "grants": {"sees": ["porch"],
                "commands": [{"actions": ["lock"], "devices": ["shed"]}]}"#,
        )
        .expect("allowed");
        let sees = |id: &str| plugin.grants.may_see(&id.parse().expect("id"));
        assert!(sees("porch") && sees("shed") && !sees("front-door"));
    }

    #[test]
    fn a_file_that_is_a_path_is_refused() {
        for file in ["../libx.so", "a/libx.so", "/libx.so", "..", ".", "", "./libx.so"] {
            let error = allowing(&format!(r#""file": "{file}""#)).expect_err(file);
            assert!(error.contains("plugins.allow[0].file"), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_in_an_entry_is_named_with_its_path() {
        let error = load(r#"{"allow": [{"file": "a", "sha256": "12"}]}"#).expect_err("short");
        assert!(error.contains("plugins.allow[0].sha256"), "{error}");
        let error = allowing(
            r#""file": "a", "grants": {"commands": [{"actions": ["toggle"], "devices": []}]}"#,
        )
        .expect_err("toggle");
        assert!(error.contains("plugins.allow[0].grants.commands[0].actions[0]"), "{error}");
        let error = allowing(r#""file": "a", "grants": {"topics": ["$SYS/#"]}"#).expect_err("$");
        assert!(error.contains("plugins.allow[0].grants.topics[0]"), "{error}");
        assert!(load(r#"{"time_limit_ms": 0}"#).expect_err("no time").contains("time_limit_ms"));
    }
}
