//! Finds out why an outside broker cannot be reached.
//!
//! paho-mqtt says "TCP/TLS connect failure", whatever it was. After such a
//! failure the probe takes the same way with the same files, as far as TLS
//! goes, and gives what it met. It speaks no MQTT, and carries nothing.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::Context as _;
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    self, ErrorCode, HandshakeError, SslConnector, SslMethod, SslStream, SslVersion,
};
use openssl::x509::X509VerifyResult;
use openssl::x509::store::X509StoreBuilder;

use super::paho_options;
use crate::config::MqttSettings;

/// How long each step may take: to connect, to send, to hear.
const PATIENCE: Duration = Duration::from_secs(3);

/// The way to a broker, without MQTT.
pub(super) struct Probe {
    address: String,
    host: String,
    tls: Option<SslConnector>,
    has_certificate: bool,
}

impl Probe {
    /// A probe of the broker in the settings.
    ///
    /// # Errors
    /// A file of `mqtt.ca_file`, `mqtt.cert_file` or `mqtt.key_file` cannot be
    /// read, or is not what it should be.
    pub(super) fn new(settings: &MqttSettings) -> anyhow::Result<Self> {
        let (secure, address) = paho_options::address(settings);
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        Ok(Self {
            host: host.to_owned(),
            address,
            tls: if secure { Some(connector(settings)?) } else { None },
            has_certificate: settings.cert_file.is_some(),
        })
    }

    /// What stands in the way, if it is not MQTT itself. Blocks for as long as
    /// the broker is slow to answer.
    pub(super) fn obstacle(&self) -> Option<String> {
        let stream = match reach(&self.address) {
            Ok(stream) => stream,
            Err(error) => return Some(format!("reach {}: {error}", self.address)),
        };
        match self.tls.as_ref()?.connect(&self.host, stream) {
            Ok(stream) => self.after_handshake(stream),
            Err(HandshakeError::SetupFailure(error)) => Some(format!("TLS: {}", reasons(&error))),
            Err(HandshakeError::Failure(broken) | HandshakeError::WouldBlock(broken)) => {
                let verified = broken.ssl().verify_result();
                if verified == X509VerifyResult::OK {
                    return Some(self.ended(broken.error()));
                }
                let why = verified.error_string();
                Some(format!("the certificate that {} shows is refused: {why}", self.host))
            }
        }
    }

    /// In TLS 1.3 the broker says only after its part of the handshake that
    /// it refuses the client's.
    fn after_handshake(&self, mut stream: SslStream<TcpStream>) -> Option<String> {
        match stream.ssl_read(&mut [0]) {
            Ok(_) => None,
            Err(error) if error.code() == ErrorCode::WANT_READ => None,
            Err(error) => Some(self.ended(&error)),
        }
    }

    fn ended(&self, error: &ssl::Error) -> String {
        let why = match error.ssl_error() {
            Some(stack) => reasons(stack),
            None if error.code() == ErrorCode::WANT_READ => format!("silence for {PATIENCE:?}"),
            None => error.to_string(),
        };
        let misses_ours = why.contains("certificate required") || why.contains("handshake failure");
        let unset = misses_ours && !self.has_certificate;
        let hint = if unset { " (mqtt.cert_file is not set)" } else { "" };
        format!("no TLS with {}: {why}{hint}", self.host)
    }
}

fn reach(address: &str) -> std::io::Result<TcpStream> {
    let mut result = Err(std::io::ErrorKind::AddrNotAvailable.into());
    for address in address.to_socket_addrs()? {
        result = TcpStream::connect_timeout(&address, PATIENCE);
        if result.is_ok() {
            break;
        }
    }
    let stream = result?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn reasons(stack: &ErrorStack) -> String {
    let reasons: Vec<_> = stack.errors().iter().filter_map(|error| error.reason()).collect();
    if reasons.is_empty() { "it failed".to_owned() } else { reasons.join(", ") }
}

/// What the link's own TLS does: 1.2 or newer, the certificate and its name
/// verified, against `mqtt.ca_file` alone where there is one.
fn connector(settings: &MqttSettings) -> anyhow::Result<SslConnector> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    if let Some(file) = &settings.ca_file {
        let what = || format!("mqtt.ca_file {}", file.display());
        std::fs::read(file).with_context(what)?;
        builder.set_cert_store(X509StoreBuilder::new()?.build());
        builder.set_ca_file(file).map_err(plainly).with_context(what)?;
    }
    if let (Some(cert), Some(key)) = (&settings.cert_file, &settings.key_file) {
        let what = || format!("mqtt.cert_file {}", cert.display());
        std::fs::read(cert).with_context(what)?;
        builder.set_certificate_chain_file(cert).map_err(plainly).with_context(what)?;
        let what = || format!("mqtt.key_file {}", key.display());
        let pem = std::fs::read(key).with_context(what)?;
        // Nobody is there to be asked for a passphrase.
        let key = PKey::private_key_from_pem_callback(&pem, |_| Ok(0));
        let key = key.map_err(plainly).context("not a key as PEM without a passphrase");
        let key = key.with_context(what)?;
        builder.set_private_key(&key).map_err(plainly).with_context(what)?;
    }
    Ok(builder.build())
}

fn plainly(stack: ErrorStack) -> anyhow::Error {
    anyhow::anyhow!("{}", reasons(&stack))
}
