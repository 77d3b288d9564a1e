//! Where the embedded broker listens: plain, over TLS, and both over
//! WebSocket.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context as _;
use latchlight_broker::{Listener, WebSocket};

use crate::config::MqttSettings;
use crate::tls::Certificates;

/// The embedded broker's listeners, bound.
pub struct MqttListeners {
    listeners: Vec<Listener>,
    addresses: MqttAddresses,
}

/// Where the embedded broker listens; nothing: not in this way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MqttAddresses {
    /// MQTT.
    pub mqtt: Option<SocketAddr>,
    /// MQTT over TLS.
    pub mqtts: Option<SocketAddr>,
    /// MQTT over WebSocket.
    pub ws: Option<SocketAddr>,
    /// MQTT over WebSocket over TLS.
    pub wss: Option<SocketAddr>,
}

impl MqttListeners {
    /// Binds them. Those with TLS need certificates; `pages` says which web
    /// pages may come over WebSocket.
    ///
    /// # Errors
    /// An address cannot be had.
    pub fn bind(
        settings: &MqttSettings,
        certificates: Option<&Certificates>,
        pages: &WebSocket,
    ) -> anyhow::Result<Self> {
        let certificates = || certificates.context("there is no certificate (tls.certificate)");
        let mut bound = Self { listeners: Vec::new(), addresses: MqttAddresses::default() };
        bound.addresses.mqtt = bound.add("mqtt.listen", settings.listen, Ok)?;
        bound.addresses.mqtts = bound.add("mqtt.tls_listen", settings.tls_listen, |listener| {
            Ok(listener.tls(certificates()?.for_devices()))
        })?;
        bound.addresses.ws = bound.add("mqtt.ws_listen", settings.ws_listen, |listener| {
            Ok(listener.websocket(pages.clone()))
        })?;
        bound.addresses.wss = bound.add("mqtt.wss_listen", settings.wss_listen, |listener| {
            Ok(listener.tls(certificates()?.for_browsers()).websocket(pages.clone()))
        })?;
        Ok(bound)
    }

    /// Binds one, and puts on what lies between it and MQTT.
    fn add(
        &mut self,
        key: &str,
        address: Option<SocketAddr>,
        dress: impl FnOnce(Listener) -> anyhow::Result<Listener>,
    ) -> anyhow::Result<Option<SocketAddr>> {
        let Some(address) = address else { return Ok(None) };
        let listener =
            TcpListener::bind(address).with_context(|| format!("listen on {key} {address}"))?;
        let address =
            listener.local_addr().with_context(|| format!("read the address of {key}"))?;
        self.listeners.push(dress(Listener::tcp(listener))?);
        Ok(Some(address))
    }

    /// What the broker is built with.
    pub(super) fn into_parts(self) -> (Vec<Listener>, MqttAddresses) {
        (self.listeners, self.addresses)
    }
}

impl MqttAddresses {
    /// The URL of the one that a program on this machine is best told.
    pub fn url(&self) -> Option<String> {
        let all = [(self.mqtt, "mqtt"), (self.mqtts, "mqtts"), (self.wss, "wss"), (self.ws, "ws")];
        let mut all = all.into_iter();
        all.find_map(|(address, scheme)| Some(format!("{scheme}://{}", address?)))
    }

    /// The URL of the one that a device is best told: of those that other
    /// machines reach, MQTT before WebSocket, and TLS before plain; without
    /// any, [the one for this machine](Self::url). `name` is what others call
    /// the machine, for a listener at all of its addresses.
    pub fn url_for_devices(&self, name: Option<&str>) -> Option<String> {
        let all = [(self.mqtts, "mqtts"), (self.mqtt, "mqtt"), (self.wss, "wss"), (self.ws, "ws")];
        let mut all = all.into_iter().filter_map(|(address, scheme)| Some((address?, scheme)));
        let Some((address, scheme)) =
            all.find(|(address, _)| !address.ip().to_canonical().is_loopback())
        else {
            return self.url();
        };
        Some(match name.filter(|_| address.ip().is_unspecified()) {
            Some(name) => format!("{scheme}://{name}:{}", address.port()),
            None => format!("{scheme}://{address}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_told_what_it_reaches_from_elsewhere_and_tls_first() {
        let at = |text: &str| text.parse().ok();
        let none = MqttAddresses::default();
        let default = MqttAddresses { mqtt: at("127.0.0.1:1883"), ..none };
        let house = MqttAddresses { mqtts: at("0.0.0.0:8883"), ..default };
        let open = MqttAddresses { mqtt: at("192.0.2.1:1883"), ..none };
        let local = MqttAddresses { mqtts: at("[::1]:8883"), wss: at("[::1]:8884"), ..default };
        let pages = MqttAddresses { ws: at("[::]:8083"), wss: at("[::]:8084"), ..default };
        let home = Some("home.example");
        for (addresses, name, url) in [
            (none, home, None),
            (default, home, Some("mqtt://127.0.0.1:1883")),
            (house, home, Some("mqtts://home.example:8883")),
            (house, None, Some("mqtts://0.0.0.0:8883")),
            (open, home, Some("mqtt://192.0.2.1:1883")),
            (MqttAddresses { mqtts: house.mqtts, ..open }, home, Some("mqtts://home.example:8883")),
            (local, home, Some("mqtt://127.0.0.1:1883")),
            (MqttAddresses { mqtt: None, ..local }, home, Some("mqtts://[::1]:8883")),
            (pages, Some("[fd00::2]"), Some("wss://[fd00::2]:8084")),
        ] {
            assert_eq!(addresses.url_for_devices(name).as_deref(), url, "{addresses:?}");
        }
        // A program on this machine needs no certificate.
        assert_eq!(house.url().as_deref(), Some("mqtt://127.0.0.1:1883"));
    }
}
