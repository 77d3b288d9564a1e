//! Where the server listens, and where it may without TLS.

use std::net::SocketAddr;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::Settings;

/// What turns a listener off.
const OFF: &str = "off";

/// A listener's setting.
pub(super) struct Listener {
    /// Its key, as in `http.listen`.
    pub(super) key: &'static str,
    pub(super) address: Option<SocketAddr>,
    pub(super) tls: bool,
}

/// An address with its port, or `off`.
pub(super) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    if text == OFF {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        D::Error::custom(format!(
            "`{}` is not an address and a port, such as 127.0.0.1:8080, and not `off`",
            text.escape_debug()
        ))
    })
}

/// Whether these listeners, of `http` or `mqtt`, may be where they are.
pub(super) fn check(
    section: &str,
    listeners: &[Listener],
    allow_plain: bool,
) -> Result<(), String> {
    if listeners.iter().all(|listener| listener.address.is_none()) {
        let keys: Vec<&str> = listeners.iter().map(|listener| listener.key).collect();
        return Err(format!("{}: off, all of them, so that nobody can connect", keys.join(", ")));
    }
    for Listener { key, address, .. } in listeners.iter().filter(|listener| !listener.tls) {
        let Some(address) = address.filter(|address| !address.ip().is_loopback()) else { continue };
        if !allow_plain {
            return Err(format!(
                "{key}: {address} is not a loopback address, and what goes there without TLS, \
                 passwords too, can be read and changed on its way. Turn it \"off\" and use \
                 {section}.tls_listen (`latchlight tls init` makes certificates), or set \
                 {section}.allow_plain to true"
            ));
        }
    }
    Ok(())
}

impl Settings {
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
    pub(super) fn listeners(&self) -> impl Iterator<Item = Listener> {
        let of_broker = self.mqtt.is_embedded().then(|| self.mqtt.listeners());
        let all = self.http.listeners().into_iter().chain(of_broker.into_iter().flatten());
        all.filter(|listener| listener.address.is_some())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::tests::load;

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
}
