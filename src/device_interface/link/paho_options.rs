//! The settings of an outside broker, as paho-mqtt takes them.

use std::time::Duration;

use anyhow::Context as _;
use paho_mqtt::{
    ConnectOptions, ConnectOptionsBuilder, CreateOptions, CreateOptionsBuilder, MQTT_VERSION_3_1_1,
    MQTT_VERSION_5, Message, QoS, SslOptions, SslOptionsBuilder, SslVersion,
};

use crate::config::{MqttProtocol, MqttSettings};

/// How many publishes the library may hold; the window of the link is smaller.
const BUFFERED: i32 = 200;

/// A client that keeps nothing while it is disconnected.
pub(super) fn create_options(settings: &MqttSettings) -> CreateOptions {
    let (secure, address) = address(settings);
    CreateOptionsBuilder::new()
        .server_uri(format!("{}://{address}", if secure { "ssl" } else { "tcp" }))
        .client_id(settings.client_id.as_str())
        .mqtt_version(version(settings))
        .persistence(None)
        .max_buffered_messages(BUFFERED)
        .send_while_disconnected(false)
        .restore_messages(false)
        .finalize()
}

fn version(settings: &MqttSettings) -> u32 {
    match settings.protocol {
        MqttProtocol::V5 => MQTT_VERSION_5,
        MqttProtocol::V311 => MQTT_VERSION_3_1_1,
    }
}

/// Whether TLS is spoken, and the broker's host and port.
pub(super) fn address(settings: &MqttSettings) -> (bool, String) {
    match settings.broker.split_once("://") {
        Some(("mqtts", host)) => (true, with_port(host, 8883)),
        Some((_, host)) => (false, with_port(host, 1883)),
        None => (false, with_port(&settings.broker, 1883)),
    }
}

fn with_port(host: &str, port: u16) -> String {
    let host = host.trim_end_matches('/');
    let has_port = host.rsplit(']').next().unwrap_or(host).contains(':');
    if has_port { host.to_owned() } else { format!("{host}:{port}") }
}

/// A clean start, a session that ends with its connection, and a last will.
pub(super) fn connect_options(
    settings: &MqttSettings,
    will_topic: &str,
) -> anyhow::Result<ConnectOptions> {
    let mut options = match settings.protocol {
        MqttProtocol::V5 => ConnectOptionsBuilder::new_v5(),
        MqttProtocol::V311 => ConnectOptionsBuilder::new_v3(),
    };
    match settings.protocol {
        MqttProtocol::V5 => options.clean_start(true),
        MqttProtocol::V311 => options.clean_session(true),
    };
    options
        .keep_alive_interval(Duration::from_secs(20))
        .connect_timeout(Duration::from_secs(10))
        .max_inflight(100)
        .will_message(Message::new_retained(will_topic, "offline", QoS::AtLeastOnce));
    if let Some(username) = &settings.username {
        options.user_name(username.as_str());
    }
    if let Some(password) = &settings.password {
        options.password(password.as_str());
    }
    if settings.broker.starts_with("mqtts://") {
        options.ssl_options(ssl_options(settings)?);
    }
    Ok(options.finalize())
}

/// TLS 1.2 or newer, with the name in the certificate verified. That the files
/// are good has been seen to: paho takes one that is not there for none at all.
fn ssl_options(settings: &MqttSettings) -> anyhow::Result<SslOptions> {
    let mut options = SslOptionsBuilder::new();
    options.enable_server_cert_auth(true).verify(true).ssl_version(SslVersion::Tls_1_2);
    // With an OpenSSL of today paho leaves the version to the system; these
    // suites are none of an older one's, and TLS 1.3 has its own.
    options.enabled_cipher_suites("HIGH+TLSv1.2:!aNULL:!PSK:!DSS");
    if let Some(file) = &settings.ca_file {
        options.trust_store(file).context("mqtt.ca_file")?;
    }
    if let (Some(cert), Some(key)) = (&settings.cert_file, &settings.key_file) {
        options.key_store(cert).context("mqtt.cert_file")?;
        options.private_key(key).context("mqtt.key_file")?;
    }
    Ok(options.finalize())
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn a_host_gets_the_port_of_its_scheme_unless_it_has_one() {
        assert_eq!(with_port("broker", 1883), "broker:1883");
        assert_eq!(with_port("broker:99", 1883), "broker:99");
        assert_eq!(with_port("[::1]", 8883), "[::1]:8883");
        assert_eq!(with_port("[::1]:99/", 8883), "[::1]:99");
    }
}
