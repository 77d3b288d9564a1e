//! `listeners`: where clients connect.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// One listener. Which keys it may have depends on its type.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListenerConfig {
    /// What is spoken there.
    #[serde(rename = "type")]
    pub(crate) kind: ListenerKind,
    /// What it is called in the log; without it, as its address is.
    pub(crate) name: Option<String>,
    /// Where it is bound; port 0 takes a free one.
    pub(crate) address: Option<SocketAddr>,
    /// It may be bound to an address that is no loopback one, although what is
    /// said there can be read on the way.
    pub(crate) exposed: bool,
    /// The file of a Unix socket.
    pub(crate) socket: Option<PathBuf>,
    /// Its mode.
    pub(crate) mode: Mode,
    /// The server's certificate and those that lead to its authority, PEM.
    pub(crate) certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub(crate) key: Option<PathBuf>,
    /// The authorities of the clients, PEM.
    pub(crate) client_ca: Option<PathBuf>,
    /// Whether clients have to show a certificate.
    pub(crate) client_certificates: ClientCertificatesConfig,
    /// Certificates of clients that were revoked, PEM.
    pub(crate) client_crl: Option<PathBuf>,
    /// The paths of a WebSocket; none: any.
    pub(crate) paths: Vec<String>,
    /// The host names that it may be called by, other than addresses and
    /// `localhost`; `*`: any.
    pub(crate) hosts: Vec<String>,
    /// The origins whose pages may connect, other than its own; `*`: any.
    pub(crate) origins: Vec<String>,
}

/// What is spoken by a listener.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ListenerKind {
    /// MQTT over TCP.
    #[default]
    Tcp,
    /// MQTT over TLS.
    Tls,
    /// MQTT over WebSocket.
    Ws,
    /// MQTT over WebSocket over TLS.
    Wss,
    /// MQTT over a Unix socket.
    Unix,
}

/// Whether clients have to show a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ClientCertificatesConfig {
    /// They have to.
    #[default]
    Required,
    /// They may.
    Optional,
}

/// A file's mode, in octal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Mode(pub(crate) u32);

impl Default for Mode {
    fn default() -> Self {
        Self(0o600)
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or_else(|| "a mode is wanted, as in \"0660\"".to_owned())
    }
}

impl ListenerKind {
    pub(crate) fn has_tls(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    pub(crate) fn has_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

impl ListenerConfig {
    /// Takes what is relative as relative to this folder.
    pub(super) fn place(&mut self, folder: &Path) {
        let Self { socket, certificate, key, client_ca, client_crl, .. } = self;
        for path in [socket, certificate, key, client_ca, client_crl].into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let is_unix = self.kind == ListenerKind::Unix;
        let (has_tls, has_websocket) = (self.kind.has_tls(), self.kind.has_websocket());
        for (key, is_there, may, must, whose) in [
            ("address", self.address.is_some(), !is_unix, !is_unix, "all but unix"),
            ("socket", self.socket.is_some(), is_unix, is_unix, "unix"),
            ("mode", self.mode != Mode::default(), is_unix, false, "unix"),
            ("certificate", self.certificate.is_some(), has_tls, has_tls, "tls and wss"),
            ("key", self.key.is_some(), has_tls, has_tls, "tls and wss"),
            ("client_ca", self.client_ca.is_some(), has_tls, false, "tls and wss"),
            (
                "client_crl",
                self.client_crl.is_some(),
                self.client_ca.is_some(),
                false,
                "with `client_ca`",
            ),
            (
                "client_certificates",
                self.client_certificates != ClientCertificatesConfig::default(),
                self.client_ca.is_some(),
                false,
                "with `client_ca`",
            ),
            ("paths", !self.paths.is_empty(), has_websocket, false, "ws and wss"),
            ("hosts", !self.hosts.is_empty(), has_websocket, false, "ws and wss"),
            ("origins", !self.origins.is_empty(), has_websocket, false, "ws and wss"),
        ] {
            if is_there && !may {
                return Err(format!("{key}: only for listeners of other types: {whose}"));
            }
            if must && !is_there {
                return Err(format!("{key}: must be given"));
            }
        }
        self.check_exposed()
    }

    /// C24
    fn check_exposed(&self) -> Result<(), String> {
        match self.address {
            Some(address)
                if !self.exposed && !self.kind.has_tls() && !address.ip().is_loopback() =>
            {
                Err(format!(
                    "address: {address} is no loopback address, and what is said there, passwords \
                     too, can be read on the way; if that is meant, say `exposed: true`"
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether both would be bound to the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let has_port = self.address.is_none_or(|address| address.port() != 0);
        self.address == other.address && self.socket == other.socket && has_port
    }

    /// What cannot be changed while it listens: everything but certificates.
    pub(crate) fn without_certificates(&self) -> Self {
        Self {
            certificate: None,
            key: None,
            client_ca: None,
            client_certificates: ClientCertificatesConfig::default(),
            client_crl: None,
            ..self.clone()
        }
    }
}
