//! Reading the settings: defaults, then the file, then the environment.

use std::collections::HashMap;

use config::{Config, ConfigError, Environment, File, FileFormat};

use super::environment::{ENVIRONMENT_PREFIX, is_at, key, place};
use super::{Settings, suggestion};

/// What is wrong with the settings, with the path of the key; the variable's
/// name, where the environment set it.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {why}")]
pub struct InvalidSettings {
    place: String,
    why: String,
}

impl Settings {
    /// The settings from the text of the `settings` section and the process's
    /// environment.
    ///
    /// # Errors
    /// A key is unknown, a value has the wrong type or cannot be; the error
    /// names the key by its path.
    pub fn load(section: &str) -> Result<Self, InvalidSettings> {
        // What has another name is nobody's business here, whatever is in it.
        let variables =
            std::env::vars_os().filter_map(|(name, value)| {
                let name = name.into_string().ok().filter(|name| key(name).is_some())?;
                // No setting: it is used once, and by who starts the server.
                if name == crate::identity::PASSWORD_VARIABLE {
                    return None;
                }
                // Its value may be a secret.
                Some(value.into_string().map(|value| (name.clone(), value)).map_err(|_| {
                    InvalidSettings { place: place(&name), why: "not UTF-8".to_owned() }
                }))
            });
        Self::load_with(section, variables.collect::<Result<_, _>>()?)
    }

    /// The same with a made-up environment, for tests.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn load_with(
        section: &str,
        environment: HashMap<String, String>,
    ) -> Result<Self, InvalidSettings> {
        let names: Vec<String> = environment.keys().cloned().collect();
        Self::merge(section, environment).map_err(|why| {
            let set = names.into_iter().find(|name| key(name).is_some_and(|key| is_at(&key, &why)));
            let Some(name) = set else {
                let why = suggestion::of_key(why);
                return InvalidSettings { place: "settings".to_owned(), why };
            };
            let why = match suggestion::of_variable(&name) {
                Some(meant) => format!("no setting has this name: did you mean {meant}?"),
                None => suggestion::of_key(why),
            };
            InvalidSettings { place: place(&name), why }
        })
    }

    fn merge(section: &str, environment: HashMap<String, String>) -> Result<Self, String> {
        super::section::check(section)?;
        let variables = Environment::with_prefix(ENVIRONMENT_PREFIX)
            .prefix_separator("_")
            .separator("__")
            .source(Some(environment));
        let merged = Config::builder()
            .add_source(File::from_str(section, FileFormat::Json))
            .add_source(variables)
            .build()
            .map_err(|error| error.to_string())?;
        let settings: Self = crate::named_fields::deserialize(merged).map_err(|error| {
            let path = error.path().to_string();
            format!("{path}: {}", without_key(error.into_inner()))
        })?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        self.http.check()?;
        self.mqtt.check()?;
        self.tls
            .check(self.listeners().find(|listener| listener.tls).map(|listener| listener.key))?;
        self.oidc.check()?;
        self.database.check()?;
        self.log.check()?;
        self.commands.check()?;
        self.events.check()?;
        self.pictures.check()?;
        self.messages.check()?;
        self.plugins.check()?;
        super::devices::check_topics(&self.mqtt.prefix, &self.devices)?;
        let settled = self.devices.values().filter_map(|device| device.topics.as_ref());
        let settled = settled.flat_map(|pair| [&*pair.up, &*pair.down]);
        let heard = self.mqtt.topics.iter().map(String::as_str).chain(settled);
        self.messages.check_record(&self.mqtt.prefix, heard)
    }
}

/// What the parser says, without the key, which it writes in a way of its own.
fn without_key(error: ConfigError) -> String {
    match error {
        ConfigError::At { error, .. } => without_key(*error),
        ConfigError::Type { unexpected, expected, .. } => {
            format!("invalid type: {unexpected}, expected {expected}")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// These settings, with these variables in the environment.
    pub(in crate::config) fn load(
        section: &str,
        variables: &[(&str, &str)],
    ) -> Result<Settings, String> {
        let variables: HashMap<_, _> =
            variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Settings::load_with(section, variables).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_section_gives_the_documented_defaults() {
        let settings = load("{}", &[]).expect("defaults");
        assert_eq!(settings.http.listen, Some(([127, 0, 0, 1], 8080).into()));
        assert_eq!(settings.mqtt.listen, Some(([127, 0, 0, 1], 1883).into()));
        assert_eq!(settings.mqtt.broker, "embedded");
        assert_eq!(settings.mqtt.prefix, "latchlight");
        assert_eq!(settings.commands.expires_in, 10);
        assert_eq!(settings.log.level, "info");
        assert!(!settings.mqtt.unlock_over_311);
    }

    #[test]
    fn a_value_that_cannot_be_is_shown_with_one_that_can() {
        for (section, said) in [
            (
                r#"{"http": {"listen": 8080}}"#,
                "http.listen: `8080` is not an address and a port, such as",
            ),
            (r#"{"http": {"listen": "localhost:9101"}}"#, "`localhost:9101` is not an address"),
            (r#"{"mqtt": {"listen": "127.0.0.1:99999"}}"#, "`127.0.0.1:99999` is not an address"),
            (
                r#"{"mqtt": {"protocol": 4}}"#,
                "mqtt.protocol: `4` is not a version of MQTT: 5 or 3.1.1",
            ),
            (r#"{"log": {"format": "xml"}}"#, "log.format: `xml` is not a format: text or json"),
            (r#"{"log": {"level": "loud"}}"#, "log.level: `loud` is not a level: off, error,"),
            (r#"{"log": {"level": "info,latchlight"}}"#, "log.level: `latchlight` is not a level"),
            (
                r#"{"log": {"level": "latchlight=loud"}}"#,
                "log.level: `latchlight=loud` is no filter",
            ),
            (
                r#"{"devices": {"a": {"grants": [{"actions": ["toggle"], "devices": []}]}}}"#,
                "devices.a.grants[0].actions[0]: `toggle` is not something a device does",
            ),
            (
                r#"{"plugins": {"allow": [{"grants": 5}]}}"#,
                "plugins.allow[0].grants: invalid type: ",
            ),
            (
                r#"{"commands": {"expires_in": "soon"}}"#,
                r#"commands.expires_in: invalid type: string "soon", expected an integer"#,
            ),
        ] {
            let error = load(section, &[]).expect_err(section);
            assert!(error.contains(said) && !error.contains("for key"), "{error}");
        }
        let protocol = load(r#"{"mqtt": {"protocol": 5}}"#, &[]).expect("a number").mqtt.protocol;
        assert_eq!(protocol, crate::config::MqttProtocol::V5);
        for level in ["INFO", "off", "warn,latchlight::commands=debug", "latchlight=trace"] {
            assert!(load(&format!(r#"{{"log": {{"level": "{level}"}}}}"#), &[]).is_ok(), "{level}");
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_its_path() {
        let error = load(r#"{"http": {"listne": "x"}}"#, &[]).expect_err("unknown key");
        assert_eq!(error, "settings: http.listne: unknown field `listne`: did you mean `listen`?");
        let error = load(r#"{"htpp": {}}"#, &[]).expect_err("unknown section");
        assert!(error.contains("htpp"), "{error}");
        let error = load("{}", &[("LATCHLIGHT_MQTT__PREFX", "x")]).expect_err("unknown variable");
        assert!(error.contains("mqtt") && error.contains("prefx"), "{error}");
    }

    #[test]
    fn a_wrong_type_is_named_with_its_path() {
        let error = load(r#"{"commands": {"expires_in": "soon"}}"#, &[]).expect_err("not a number");
        assert!(error.contains("commands.expires_in"), "{error}");
        let error = load(r#"{"http": {"listen": "localhost"}}"#, &[]).expect_err("no address");
        assert!(error.contains("http.listen"), "{error}");
    }
}
