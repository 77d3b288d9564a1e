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
    /// The URL of the one that a device is best told.
    pub fn url(&self) -> Option<String> {
        let [mqtt, mqtts, ws, wss] =
            [(self.mqtt, "mqtt"), (self.mqtts, "mqtts"), (self.ws, "ws"), (self.wss, "wss")]
                .map(|(address, scheme)| address.map(|address| format!("{scheme}://{address}")));
        mqtt.or(mqtts).or(wss).or(ws)
    }
}
