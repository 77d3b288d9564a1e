//! Who is connected.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use latchlight_mqtt::ProtocolVersion;

/// A client, as hooks and administrators see it.
#[derive(Debug, Clone)]
pub struct ClientInfo {
    /// Its client id.
    pub client_id: Arc<str>,
    /// Who it is, as the access hook said.
    pub identity: Arc<str>,
    /// Where it comes from; nothing for what has no socket.
    pub address: Option<SocketAddr>,
    /// The version that it speaks.
    pub version: ProtocolVersion,
    /// Since when it is connected.
    pub connected_at: SystemTime,
}
