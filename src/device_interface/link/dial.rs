//! The way to an outside broker, over TCP or TLS, and why it cannot be taken.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use openssl::pkey::PKey;
use openssl::ssl::{self, ErrorCode, SslConnector};
use openssl::x509::X509VerifyResult;
use socket2::SockRef;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_openssl::SslStream;
use tokio_util::either::Either;

use crate::config::MqttSettings;
use crate::tls::client::{self, plainly, reasons};

/// How long one address may take to answer, and all of TLS.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the broker.
pub(super) type Wire = Either<TcpStream, SslStream<TcpStream>>;

/// Where the broker is, and how it is spoken to.
pub(super) struct Dial {
    address: String,
    host: String,
    tls: Option<SslConnector>,
    has_certificate: bool,
}

impl Dial {
    /// The way to the broker in the settings.
    ///
    /// # Errors
    /// A file of `mqtt.ca_file`, `mqtt.cert_file` or `mqtt.key_file` cannot be
    /// read, or is not what it should be.
    pub(super) fn new(settings: &MqttSettings) -> anyhow::Result<Self> {
        let (secure, address) = address(settings);
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        Ok(Self {
            host: host.to_owned(),
            address,
            tls: if secure { Some(connector(settings)?) } else { None },
            has_certificate: settings.cert_file.is_some(),
        })
    }

    /// Connects, as far as TLS goes.
    ///
    /// # Errors
    /// The broker does not answer, or is not who it should be.
    pub(super) async fn connect(&self) -> anyhow::Result<Wire> {
        let stream =
            reach(&self.address).await.with_context(|| format!("reach {}", self.address))?;
        let Some(tls) = &self.tls else {
            return Ok(Either::Left(stream));
        };
        let tls = tls.configure().and_then(|tls| tls.into_ssl(&self.host)).map_err(plainly)?;
        let mut stream = SslStream::new(tls, stream).map_err(plainly)?;
        let Ok(shaken) = timeout(PATIENCE, Pin::new(&mut stream).connect()).await else {
            bail!("no TLS with {}: silence for {PATIENCE:?}", self.host);
        };
        if let Err(error) = shaken {
            let verified = stream.ssl().verify_result();
            if verified == X509VerifyResult::OK {
                return Err(self.ended(&error));
            }
            let why = verified.error_string();
            bail!("the certificate that {} shows is refused: {why}", self.host);
        }
        Ok(Either::Right(stream))
    }

    /// Why a connection ended. In TLS 1.3 the broker says only after its part
    /// of the handshake that it refuses the client's.
    pub(super) fn why(&self, error: io::Error) -> anyhow::Error {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<ssl::Error>()) {
            Some(error) => self.ended(error),
            None => anyhow!(error),
        }
    }

    fn ended(&self, error: &ssl::Error) -> anyhow::Error {
        let why = match error.ssl_error() {
            Some(stack) => reasons(stack),
            None if error.code() == ErrorCode::SYSCALL && error.io_error().is_none() => {
                "the connection is closed".to_owned()
            }
            None => error.to_string(),
        };
        let misses_ours = why.contains("certificate required") || why.contains("handshake failure");
        let unset = misses_ours && !self.has_certificate;
        let hint = if unset { " (mqtt.cert_file is not set)" } else { "" };
        anyhow!("no TLS with {}: {why}{hint}", self.host)
    }
}

/// Whether the connection's end is a reset: what the system has not sent by
/// then is thrown away, and never arrives. That holds, too, where it is the end
/// of the process that closes.
pub(super) fn reset_when_closed(wire: &Wire, reset: bool) -> io::Result<()> {
    let stream = match wire {
        Either::Left(stream) => stream,
        Either::Right(stream) => stream.get_ref(),
    };
    SockRef::from(stream).set_linger(reset.then_some(Duration::ZERO))
}

async fn reach(address: &str) -> io::Result<TcpStream> {
    let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in lookup_host(address).await? {
        let connect = timeout(PATIENCE, TcpStream::connect(address)).await;
        result = connect.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if result.is_ok() {
            break;
        }
    }
    let stream = result?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether TLS is spoken, and the broker's host and port.
fn address(settings: &MqttSettings) -> (bool, String) {
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

/// TLS 1.2 or newer, the certificate and its name verified, against
/// `mqtt.ca_file` alone where there is one.
fn connector(settings: &MqttSettings) -> anyhow::Result<SslConnector> {
    let mut builder = client::connector("mqtt.ca_file", settings.ca_file.as_deref())?;
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
