//! Reading the settings: defaults, then the file, then the environment.

use std::collections::HashMap;
use std::net::SocketAddr;

use config::{Config, ConfigError, Environment, File, FileFormat};

use super::Settings;
use super::listener::Listener;

/// How the names of environment variables begin; two underscores stand
/// between the levels: `LATCHLIGHT_HTTP__LISTEN`.
pub const ENVIRONMENT_PREFIX: &str = "LATCHLIGHT";

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
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| key(name).is_some())?;
            // No setting: it is used once, and by who starts the server.
            if name == crate::identity::PASSWORD_VARIABLE {
                return None;
            }
            // Its value may be a secret.
            Some(value.into_string().map(|value| (name.clone(), value)).map_err(|_| {
                InvalidSettings { place: in_environment(&name), why: "not UTF-8".to_owned() }
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
            let place = set.map_or_else(|| "settings".to_owned(), |name| in_environment(&name));
            InvalidSettings { place, why }
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
        self.check_topics()
    }

    /// The listeners without TLS that others than this machine reach: their
    /// settings and addresses.
    pub fn plain_off_loopback(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let plain = self.listeners().filter(|listener| !listener.tls);
        plain.filter_map(|Listener { key, address, .. }| {
            address.filter(|address| !address.ip().is_loopback()).map(|address| (key, address))
        })
    }

    /// Whether a listener speaks TLS.
    pub fn has_tls(&self) -> bool {
        self.listeners().any(|listener| listener.tls)
    }

    /// The listeners that are on.
    fn listeners(&self) -> impl Iterator<Item = Listener> {
        let of_broker = self.mqtt.is_embedded().then(|| self.mqtt.listeners());
        let all = self.http.listeners().into_iter().chain(of_broker.into_iter().flatten());
        all.filter(|listener| listener.address.is_some())
    }

    /// A topic of two devices would have one do what the other is told.
    fn check_topics(&self) -> Result<(), String> {
        let mut owners = HashMap::new();
        for (id, device) in &self.devices {
            let Some(topics) = &device.topics else { continue };
            crate::device_interface::topic_rules::check_pair(&self.mqtt.prefix, topics)
                .map_err(|error| format!("devices.{id}.topics: {error}"))?;
            for topic in [&topics.up, &topics.down] {
                if let Some(owner) = owners.insert(topic, id) {
                    return Err(format!("devices.{id}.topics: `{topic}` is a topic of {owner}"));
                }
            }
        }
        Ok(())
    }
}

fn in_environment(variable: &str) -> String {
    format!("the environment's {variable}")
}

/// The key that a variable of the environment sets.
fn key(variable: &str) -> Option<String> {
    let name = variable.to_lowercase();
    let key = name.strip_prefix(&ENVIRONMENT_PREFIX.to_lowercase())?.strip_prefix('_')?;
    Some(key.replace("__", "."))
}

/// Whether an error, which begins with a path, is about this key or what is
/// in it.
fn is_at(key: &str, error: &str) -> bool {
    let rest = error.strip_prefix(key);
    rest.is_some_and(|rest| rest.starts_with([':', '.', '[', ' ']))
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
mod tests {
    use super::*;

    fn load(section: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
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
    fn the_environment_wins_over_the_file() {
        let section = r#"{"http": {"listen": "127.0.0.1:1"}, "commands": {"expires_in": 20}}"#;
        let settings = load(
            section,
            &[("LATCHLIGHT_HTTP__LISTEN", "127.0.0.1:2"), ("LATCHLIGHT_COMMANDS__EXPIRES_IN", "7")],
        );
        let settings = settings.expect("both");
        assert_eq!(settings.http.listen, Some(([127, 0, 0, 1], 2).into()));
        assert_eq!(settings.commands.expires_in, 7);
    }

    #[test]
    fn a_list_in_the_environment_has_commas_or_is_json() {
        let settings = load(
            r#"{"mqtt": {"topics": ["old/#"]}}"#,
            &[
                ("LATCHLIGHT_MQTT__TOPICS", "weather/#, house/+/night"),
                ("LATCHLIGHT_HTTP__HOSTS", r#"["home.example", "[::1]"]"#),
                (
                    "LATCHLIGHT_DEVICES__KEYPAD__GRANTS",
                    r#"[{"actions": ["lock"], "devices": ["shed"]}]"#,
                ),
            ],
        );
        let settings = settings.expect("lists");
        assert_eq!(settings.mqtt.topics, ["weather/#", "house/+/night"]);
        assert_eq!(settings.http.hosts, ["home.example", "[::1]"]);
        let keypad = settings.devices.values().next().expect("keypad");
        assert!(keypad.grants(crate::commands::Verb::Lock, &"shed".parse().expect("id")));
        let error = load("{}", &[("LATCHLIGHT_PLUGINS__ALLOW", r#"[{"file": 1}]"#)]);
        let error = error.expect_err("no entry");
        assert!(error.contains("plugins.allow: as a JSON list: [0].file"), "{error}");
    }

    #[test]
    fn what_the_environment_set_wrongly_is_named_by_its_variable() {
        for (name, value, why) in [
            ("LATCHLIGHT_HTTP__LISEN", "x", "http.lisen: unknown field"),
            ("LATCHLIGHT_FOO", "1", "foo: unknown field"),
            ("LATCHLIGHT_HTTP__LISTEN", "8080", "`8080` is not an address"),
            ("LATCHLIGHT_MQTT__TOPICS", "a/b,$SYS/x", "mqtt.topics[1]"),
            ("LATCHLIGHT_LOG__LEVEL", "loud", "log.level: `loud`"),
        ] {
            let error = load(r#"{"mqtt": {"topics": []}}"#, &[(name, value)]).expect_err(name);
            assert!(error.starts_with(&format!("the environment's {name}: ")), "{error}");
            assert!(error.contains(why), "{error}");
        }
        // The file's fault stays the file's.
        let error = load(r#"{"http": {"x": 1}}"#, &[("LATCHLIGHT_HTTP__LISTEN", "127.0.0.1:0")]);
        assert!(error.as_ref().expect_err("x").starts_with("settings: http.x"), "{error:?}");
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
    fn c24_a_plain_listener_off_loopback_needs_a_word_of_its_own() {
        for (section, key, address) in [
            ("http", "listen", "0.0.0.0:8080"),
            ("mqtt", "listen", "192.168.1.2:1883"),
            ("mqtt", "listen", "[::]:1883"),
            ("mqtt", "ws_listen", "192.168.1.2:8083"),
        ] {
            let with = |allow: &str| {
                load(&format!(r#"{{"{section}": {{"{key}": "{address}"{allow}}}}}"#), &[])
            };
            for allow in ["", r#", "allow_plain": false"#] {
                let error = with(allow).expect_err(address);
                let todo = [format!("{section}.tls_listen"), format!("{section}.allow_plain")];
                assert!(error.contains(&format!("{section}.{key}: {address}")), "{error}");
                assert!(todo.iter().all(|todo| error.contains(todo)), "{error}");
            }
            let settings = with(r#", "allow_plain": true"#).expect("it was said out loud");
            let said: Vec<_> = settings.plain_off_loopback().map(|(key, _)| key).collect();
            assert_eq!(said, [format!("{section}.{key}")]);
        }
        // The other one's word does not count.
        let other = r#"{"http": {"listen": "0.0.0.0:80"}, "mqtt": {"allow_plain": true}}"#;
        assert!(load(other, &[]).is_err());
        let tls = r#"{
            "http": {"listen": "off", "tls_listen": "0.0.0.0:443"},
            "mqtt": {"tls_listen": "[::]:8883", "wss_listen": "0.0.0.0:8884"},
            "tls": {"certificate": "a", "key": "b"}
        }"#;
        assert_eq!(load(tls, &[]).expect("with TLS").plain_off_loopback().count(), 0);
    }

    #[test]
    fn somebody_can_connect_and_tls_has_its_files() {
        for (section, why) in [
            (r#"{"http": {"listen": "off"}}"#, "nobody can connect"),
            (r#"{"mqtt": {"listen": "off"}}"#, "nobody can connect"),
            (r#"{"http": {"tls_listen": "127.0.0.1:0"}}"#, "http.tls_listen needs tls.certificate"),
            (r#"{"tls": {"certificate": "a"}}"#, "belong together"),
            (r#"{"tls": {"client_ca": "a"}}"#, "tls.client_ca needs"),
            (
                r#"{"tls": {"certificate": "a", "key": "a", "client_crl": "b"}}"#,
                "tls.client_crl needs",
            ),
            (
                r#"{"mqtt": {"broker": "mqtt://b", "ws_listen": "127.0.0.1:0"}}"#,
                "mqtt.ws_listen is the embedded broker's",
            ),
        ] {
            let error = load(section, &[]).expect_err(section);
            assert!(error.contains(why), "{error}");
        }
        let outside = r#"{"mqtt": {"broker": "mqtt://b", "listen": "off"}}"#;
        assert!(load(outside, &[]).is_ok());
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
    fn no_two_devices_have_a_topic_in_common() {
        let with = |up: &str, down: &str| {
            let pair = |up: &str, down: &str| {
                format!(r#"{{"topics": {{"up": "{up}", "down": "{down}"}}}}"#)
            };
            let (front, garden) = (pair("a/up", "a/down"), pair(up, down));
            load(&format!(r#"{{"devices": {{"front": {front}, "garden": {garden}}}}}"#), &[])
        };
        assert!(with("b/up", "b/down").is_ok());
        for (up, down) in [("b/up", "a/down"), ("a/up", "b/down"), ("a/down", "b/down")] {
            let error = with(up, down).expect_err("a topic twice");
            assert!(
                error.contains("devices.garden.topics") && error.contains("of front"),
                "{error}"
            );
        }
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
