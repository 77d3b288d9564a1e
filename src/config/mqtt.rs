//! `mqtt`: the broker, embedded or outside, and the topics.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::listener::{self, Listener};
use super::value;
use crate::device_interface::topic_rules;

/// The settings of MQTT.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MqttSettings {
    /// `embedded`, or the URL of an outside broker: `mqtt://host:1883`,
    /// `mqtts://host:8883`.
    pub broker: String,
    /// Where the embedded broker listens without TLS; nothing: nowhere.
    #[serde(deserialize_with = "listener::address")]
    pub listen: Option<SocketAddr>,
    /// Where it listens with TLS.
    #[serde(deserialize_with = "listener::address")]
    pub tls_listen: Option<SocketAddr>,
    /// Where it listens for MQTT over WebSocket without TLS.
    #[serde(deserialize_with = "listener::address")]
    pub ws_listen: Option<SocketAddr>,
    /// Where it listens for MQTT over WebSocket with TLS.
    #[serde(deserialize_with = "listener::address")]
    pub wss_listen: Option<SocketAddr>,
    /// Whether it may listen without TLS off loopback.
    pub allow_plain: bool,
    /// Whether the sessions of the embedded broker, what they are owed, and
    /// retained messages outlive the server, in `broker.db` in the data folder.
    pub store: bool,
    /// Whether the metrics tell how long the embedded broker takes to connect, to
    /// publish and to commit.
    pub measure_latency: bool,
    /// A file with users and rules for the embedded broker, outside the prefix: for
    /// bridges, sensors, dashboards. It stands below the folder of config.json
    /// where it is relative.
    pub ledger: Option<PathBuf>,
    /// The first level, or levels, of every topic.
    pub prefix: String,
    /// More topic filters to listen on; what comes from them never gets an
    /// answer.
    #[serde(deserialize_with = "value::list")]
    pub topics: Vec<String>,
    /// The version spoken to an outside broker.
    pub protocol: MqttProtocol,
    /// Send `unlock` also to an outside broker that speaks 3.1.1, which lets
    /// no message expire: a late unlock is then the operator's risk.
    pub unlock_over_311: bool,
    /// The client id at an outside broker.
    pub client_id: String,
    /// The user name at an outside broker.
    pub username: Option<String>,
    /// The password at an outside broker.
    pub password: Option<String>,
    /// The authority that signed an outside broker's certificate, as PEM;
    /// without it, the system's. This file and the next two stand below the
    /// folder of config.json where they are relative.
    pub ca_file: Option<PathBuf>,
    /// This server's certificate for an outside broker, as PEM.
    pub cert_file: Option<PathBuf>,
    /// The key of that certificate, as PEM.
    pub key_file: Option<PathBuf>,
}

/// A version of MQTT, as spoken to an outside broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum MqttProtocol {
    /// MQTT 5.
    V5,
    /// MQTT 3.1.1.
    V311,
}

impl TryFrom<String> for MqttProtocol {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "5" => Ok(Self::V5),
            "3.1.1" => Ok(Self::V311),
            _ => Err(format!("`{}` is not a version of MQTT: 5 or 3.1.1", text.escape_debug())),
        }
    }
}

impl Default for MqttSettings {
    fn default() -> Self {
        Self {
            broker: "embedded".to_owned(),
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 1883))),
            tls_listen: None,
            ws_listen: None,
            wss_listen: None,
            allow_plain: false,
            store: true,
            ledger: None,
            measure_latency: false,
            prefix: "latchlight".to_owned(),
            topics: Vec::new(),
            protocol: MqttProtocol::V5,
            unlock_over_311: false,
            client_id: "latchlight".to_owned(),
            username: None,
            password: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
        }
    }
}

impl std::fmt::Debug for MqttSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttSettings")
            .field("broker", &self.broker_without_credentials())
            .field("listen", &self.listen)
            .field("tls_listen", &self.tls_listen)
            .field("ws_listen", &self.ws_listen)
            .field("wss_listen", &self.wss_listen)
            .field("allow_plain", &self.allow_plain)
            .field("store", &self.store)
            .field("prefix", &self.prefix)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

impl MqttSettings {
    /// Whether the server carries its own broker.
    pub fn is_embedded(&self) -> bool {
        self.broker == "embedded"
    }

    /// The broker as it may be shown: never with a password.
    pub fn broker_without_credentials(&self) -> String {
        match (self.broker.split_once("://"), self.broker.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            _ => self.broker.clone(),
        }
    }

    /// Puts the files that are relative below the folder of config.json.
    pub fn place_files(&mut self, folder: &Path) {
        for file in [&mut self.ledger, &mut self.ca_file, &mut self.cert_file, &mut self.key_file] {
            *file = file.take().map(|file| folder.join(file));
        }
    }

    /// The embedded broker's listeners; an outside one has its own.
    pub(super) fn listeners(&self) -> [Listener; 4] {
        [
            Listener { key: "mqtt.listen", address: self.listen, tls: false },
            Listener { key: "mqtt.tls_listen", address: self.tls_listen, tls: true },
            Listener { key: "mqtt.ws_listen", address: self.ws_listen, tls: false },
            Listener { key: "mqtt.wss_listen", address: self.wss_listen, tls: true },
        ]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        topic_rules::check_prefix(&self.prefix).map_err(|error| format!("mqtt.prefix: {error}"))?;
        for (index, filter) in self.topics.iter().enumerate() {
            topic_rules::check_extra(&self.prefix, filter)
                .map_err(|error| format!("mqtt.topics[{index}]: {error}"))?;
        }
        if self.is_embedded() {
            return listener::check("mqtt", &self.listeners(), self.allow_plain);
        }
        self.check_outside()
    }

    fn check_outside(&self) -> Result<(), String> {
        let [_, others @ ..] = self.listeners();
        if let Some(listener) = others.iter().find(|listener| listener.address.is_some()) {
            return Err(format!(
                "{} is the embedded broker's, and mqtt.broker names an outside one",
                listener.key
            ));
        }
        let known = ["mqtt://", "mqtts://"]
            .iter()
            .any(|scheme| self.broker.strip_prefix(scheme).is_some_and(|host| !host.is_empty()));
        if !known {
            return Err(format!(
                "mqtt.broker: `{}` is neither `embedded` nor a URL such as mqtt://host:1883 or mqtts://host:8883",
                self.broker_without_credentials()
            ));
        }
        if self.broker.contains('@') {
            return Err(
                "mqtt.broker: put the credentials into mqtt.username and mqtt.password, not into the URL"
                    .to_owned(),
            );
        }
        let files = [
            ("mqtt.ca_file", &self.ca_file),
            ("mqtt.cert_file", &self.cert_file),
            ("mqtt.key_file", &self.key_file),
        ];
        match files.iter().find(|(_, file)| file.is_some()) {
            Some((key, _)) if self.broker.starts_with("mqtt://") => {
                return Err(format!("{key} is for TLS, and mqtt:// is without: use mqtts://"));
            }
            _ => {}
        }
        if self.broker.starts_with("mqtts://[") {
            return Err("mqtt.broker: over TLS, give the host's name or its IPv4 address, not an \
                        IPv6 address"
                .to_owned());
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            return Err("mqtt.cert_file and mqtt.key_file belong together".to_owned());
        }
        if self.password.is_some() && self.username.is_none() {
            return Err("mqtt.password needs mqtt.username".to_owned());
        }
        if self.client_id.is_empty() || self.client_id.contains('\0') {
            return Err("mqtt.client_id must not be empty".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::tests::load;

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
