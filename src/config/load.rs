//! Reading the settings: defaults, then the file, then the environment.

use std::net::SocketAddr;

use config::{Config, Environment, File, FileFormat};

use super::Settings;

/// How the names of environment variables begin; two underscores stand
/// between the levels: `LATCHLIGHT_HTTP__LISTEN`.
pub const ENVIRONMENT_PREFIX: &str = "LATCHLIGHT";

/// What is wrong with the settings, with the path of the key.
#[derive(Debug, thiserror::Error)]
#[error("settings: {0}")]
pub struct InvalidSettings(String);

impl Settings {
    /// The settings from the text of the `settings` section and the process's
    /// environment.
    ///
    /// # Errors
    /// A key is unknown, a value has the wrong type or cannot be; the error
    /// names the key by its path.
    pub fn load(section: &str) -> Result<Self, InvalidSettings> {
        Self::load_with(section, None)
    }

    /// The same with a made-up environment, for tests.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn load_with(
        section: &str,
        environment: Option<std::collections::HashMap<String, String>>,
    ) -> Result<Self, InvalidSettings> {
        let variables = Environment::with_prefix(ENVIRONMENT_PREFIX)
            .prefix_separator("_")
            .separator("__")
            .source(environment);
        let merged = Config::builder()
            .add_source(File::from_str(section, FileFormat::Json))
            .add_source(variables)
            .build()
            .map_err(|error| InvalidSettings(error.to_string()))?;
        let settings: Self = serde_path_to_error::deserialize(merged).map_err(|error| {
            let path = error.path().to_string();
            InvalidSettings(format!("{path}: {}", error.into_inner()))
        })?;
        settings.check().map_err(InvalidSettings)?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        if !self.http.listen.ip().is_loopback() {
            return Err(not_loopback("http.listen", self.http.listen));
        }
        self.http.check()?;
        self.mqtt.check()?;
        self.database.check()?;
        self.log.check()?;
        self.commands.check()?;
        self.plugins.check()?;
        for (id, device) in &self.devices {
            if let Some(topics) = &device.topics {
                crate::device_interface::topics::check_pair(&self.mqtt.prefix, topics)
                    .map_err(|error| format!("devices.{id}.topics: {error}"))?;
            }
        }
        Ok(())
    }
}

pub(super) fn not_loopback(key: &str, address: SocketAddr) -> String {
    format!(
        "{key}: {address} is not a loopback address. Until people and devices have identities, \
         anyone who reaches a listener could open the door, so the server binds 127.0.0.1 or [::1] only"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn load(section: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let variables: HashMap<_, _> =
            variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Settings::load_with(section, Some(variables)).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_section_gives_the_documented_defaults() {
        let settings = load("{}", &[]).expect("defaults");
        assert_eq!(settings.http.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.mqtt.listen.to_string(), "127.0.0.1:1883");
        assert_eq!(settings.mqtt.broker, "embedded");
        assert_eq!(settings.mqtt.prefix, "latchlight");
        assert_eq!(settings.commands.expires_in, 10);
        assert_eq!(settings.log.level, "info");
        assert!(!settings.mqtt.unlock_over_311);
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let section = r#"{"http": {"listen": "127.0.0.1:1"}, "commands": {"expires_in": 20}}"#;
        let settings = load(
            section,
            &[("LATCHLIGHT_HTTP__LISTEN", "127.0.0.1:2"), ("LATCHLIGHT_COMMANDS__EXPIRES_IN", "7")],
        );
        let settings = settings.expect("both");
        assert_eq!(settings.http.listen.port(), 2);
        assert_eq!(settings.commands.expires_in, 7);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_path() {
        let error = load(r#"{"http": {"listne": "x"}}"#, &[]).expect_err("unknown key");
        assert!(error.contains("http") && error.contains("listne"), "{error}");
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

    #[test]
    fn an_address_off_loopback_is_refused_and_the_reason_said() {
        for section in [
            r#"{"http": {"listen": "0.0.0.0:8080"}}"#,
            r#"{"mqtt": {"listen": "192.168.1.2:1883"}}"#,
            r#"{"mqtt": {"listen": "[::]:1883"}}"#,
        ] {
            let error = load(section, &[]).expect_err(section);
            assert!(error.contains("is not a loopback address"), "{error}");
        }
    }

    #[test]
    fn a_grant_names_actions_and_devices() {
        let section = r#"{"devices": {"keypad": {"grants": [
            {"actions": ["unlock"], "devices": ["front-door"]}]}}}"#;
        let settings = load(section, &[]).expect("grant");
        let keypad = settings.devices.values().next().expect("keypad");
        let door = "front-door".parse().expect("id");
        assert!(keypad.grants(crate::commands::Verb::Unlock, &door));
        assert!(!keypad.grants(crate::commands::Verb::Lock, &door));
        let error = load(
            r#"{"devices": {"keypad": {"grants": [{"actions": ["toggle"], "devices": []}]}}}"#,
            &[],
        )
        .expect_err("toggle");
        assert!(error.contains("devices.keypad.grants[0].actions[0]"), "{error}");
    }

    #[test]
    fn a_broker_that_is_no_url_is_refused_without_showing_its_password() {
        let error = load(r#"{"mqtt": {"broker": "http://a:secret@b"}}"#, &[]).expect_err("scheme");
        assert!(!error.contains("secret") && error.contains("mqtt://host:1883"), "{error}");
        let error =
            load(r#"{"mqtt": {"broker": "mqtt://a:secret@b"}}"#, &[]).expect_err("userinfo");
        assert!(!error.contains("secret") && error.contains("mqtt.username"), "{error}");
    }

    #[test]
    fn tls_is_refused_where_it_would_not_be_spoken_or_not_be_verified() {
        for (section, word) in [
            (r#"{"mqtt": {"broker": "mqtt://b", "ca_file": "ca.pem"}}"#, "use mqtts://"),
            (r#"{"mqtt": {"broker": "mqtts://[::1]:8883"}}"#, "IPv6"),
            (r#"{"mqtt": {"broker": "mqtts://b", "key_file": "k"}}"#, "belong together"),
        ] {
            let error = load(section, &[]).expect_err(section);
            assert!(error.contains("mqtt.") && error.contains(word), "{error}");
        }
        let section = r#"{"mqtt": {"broker": "mqtts://b", "ca_file": "ca.pem"}}"#;
        assert!(load(section, &[]).is_ok());
    }

    #[test]
    fn the_server_does_not_listen_where_it_publishes() {
        for filter in ["latchlight/devices/+/down", "latchlight/#", "#", "+/alerts/#"] {
            let section = format!(r#"{{"mqtt": {{"topics": ["{filter}"]}}}}"#);
            let error = load(&section, &[]).expect_err(filter);
            assert!(error.contains("mqtt.topics[0]"), "{error}");
        }
        assert!(load(r#"{"mqtt": {"topics": ["weather/#"]}}"#, &[]).is_ok());
    }
}
