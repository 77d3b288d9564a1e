//! The broker under load.
use std::net::SocketAddr;
use std::sync::Arc;

use latchlight_mqtt::ProtocolVersion;
use rustls::ClientConfig;

/// Where the broker is and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// What is spoken below MQTT.
    pub transport: Transport,
    /// The version of MQTT.
    pub version: ProtocolVersion,
    /// Its process, whose processor time and memory are read; none: they are not.
    pub pid: Option<u32>,
}

/// What is spoken below MQTT.
#[derive(Debug, Clone)]
pub enum Transport {
    /// TCP.
    Plain,
    /// TLS with a certificate that these settings trust.
    Tls(Arc<ClientConfig>),
    /// WebSocket, a packet per frame as browsers send them.
    WebSocket,
}

impl Target {
    /// A broker at plain TCP, spoken to in 3.1.1, which all understand.
    pub fn plain(address: SocketAddr, pid: Option<u32>) -> Self {
        Self { address, transport: Transport::Plain, version: ProtocolVersion::V311, pid }
    }
}
