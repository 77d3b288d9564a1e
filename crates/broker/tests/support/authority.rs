//! Certificates of a test's own, and clients that speak TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedCipherSuite,
    SupportedProtocolVersion,
};

use latchlight_broker::{ClientCertificates, Listener, Tls, TlsConfig};
use latchlight_mqtt::ProtocolVersion;

use super::{Client, PATIENCE, TestBroker};

/// The versions of TLS, each by itself.
pub const TLS_VERSIONS: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

/// Who signs certificates; its folder has its own, and what it signed.
pub struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate and its key, in PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// What a client shows, and trusts.
pub struct Wallet<'a> {
    pub trusts: &'a Authority,
    pub shows: Option<&'a Identity>,
    pub versions: &'static [&'static SupportedProtocolVersion],
    /// What it offers, in its order.
    pub suites: Vec<SupportedCipherSuite>,
}

pub type TlsClient<S = TcpStream> = StreamOwned<ClientConnection, S>;

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), &pem).unwrap();
        Self { folder, issuer: Issuer::new(params, key), pem }
    }

    pub fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// A certificate for a name, and its key; also as files, `name.pem` and
    /// `name.key`.
    pub fn sign(&self, name: &str) -> Identity {
        self.sign_with(name, |_| {})
    }

    pub fn sign_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let alternatives = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(alternatives).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let identity = Identity { certificate, key: key.serialize_pem() };
        std::fs::write(self.file(&format!("{name}.pem")), &identity.certificate).unwrap();
        std::fs::write(self.file(&format!("{name}.key")), &identity.key).unwrap();
        identity
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as an argument.
    pub fn argument(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    /// A server that this one has signed, and that asks nothing of its clients.
    pub fn server(&self) -> TlsConfig {
        let server = self.sign("server");
        TlsConfig::from_pem(server.certificate.as_bytes(), server.key.as_bytes()).unwrap()
    }

    /// The same with certificates of clients that this one has signed, too.
    pub fn server_for(&self, certificates: ClientCertificates) -> TlsConfig {
        self.server().clients(self.pem.as_bytes(), certificates).unwrap()
    }

    /// What a client needs that shows nothing.
    pub fn wallet(&self) -> Wallet<'_> {
        Wallet {
            trusts: self,
            shows: None,
            versions: rustls::ALL_VERSIONS,
            suites: ring::DEFAULT_CIPHER_SUITES.to_vec(),
        }
    }

    /// What a client needs that shows this.
    pub fn wallet_with<'a>(&'a self, shows: &'a Identity) -> Wallet<'a> {
        Wallet { shows: Some(shows), ..self.wallet() }
    }
}

impl Wallet<'_> {
    fn config(&self) -> ClientConfig {
        let cipher_suites = self.suites.clone();
        let provider = Arc::new(CryptoProvider { cipher_suites, ..ring::default_provider() });
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusts.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        match self.shows {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
            }
        }
    }

    /// TLS over a stream, up to the end of the handshake as the client sees it:
    /// in TLS 1.3, the server may refuse the client's certificate after that.
    pub fn over<S: Read + Write>(&self, mut stream: S) -> std::io::Result<TlsClient<S>> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut session = ClientConnection::new(Arc::new(self.config()), name).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(StreamOwned::new(session, stream))
    }

    pub fn connect(&self, address: SocketAddr) -> std::io::Result<TlsClient> {
        self.over(patient(address))
    }

    /// Whether the server lets it on.
    pub fn is_let_on(&self, address: SocketAddr) -> bool {
        let Ok(mut stream) = self.connect(address) else { return false };
        // A PINGREQ is no CONNECT: whoever speaks MQTT ends this without an
        // alert.
        let _ = stream.write_all(&[0xC0, 0]);
        matches!(stream.read(&mut [0; 1]), Ok(0))
    }
}

/// A connection on which nothing was said yet.
pub fn patient(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Begins with this, and may change.
pub fn tls(config: TlsConfig) -> Tls {
    Tls::new(config)
}

/// A listener over TLS of a broker.
pub fn tls_listener(broker: &TestBroker, tls: &Tls) -> SocketAddr {
    let local = TcpListener::bind("127.0.0.1:0").unwrap();
    let info = broker.add_listener(Listener::tcp(local).tls(tls)).unwrap();
    let address = info.address.socket().unwrap();
    assert_eq!(*info.name, *format!("tls {address}"));
    address
}

/// A client of MQTT 5 at such a listener.
pub fn tls_client(wallet: &Wallet<'_>, address: SocketAddr, id: &str) -> Client<TlsClient> {
    Client::connect_over(wallet.connect(address).unwrap(), ProtocolVersion::V5, id)
}
