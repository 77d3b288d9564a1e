//! Who is connected.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use latchlight_mqtt::ProtocolVersion;

use crate::ClientCertificate;

/// A client, as hooks and administrators see it.
#[derive(Debug, Clone)]
pub struct ClientInfo {
    /// Its client id.
    pub client_id: Arc<str>,
    /// Who it is, as the access hook said.
    pub identity: Arc<str>,
    /// Where it comes from; nothing for what has no socket.
    pub address: Option<SocketAddr>,
    /// The certificate that it has shown.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The version that it speaks.
    pub version: ProtocolVersion,
    /// Since when it is connected.
    pub connected_at: SystemTime,
}
