//! What a listener is to show and to ask for, read and found good.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientCertVerifierBuilder, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ConfigBuilder, Error, InconsistentKeys, RootCertStore, ServerConfig, WantsVerifier};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::error::{TlsError, TlsProblem};
use super::pem::Pem;
use super::preference::{self, Handshakes};

/// Whether clients have to show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Who shows none is let on, and the access hook sees none; one that
    /// cannot be verified is refused.
    Optional,
    /// Who shows none is refused in the handshake.
    Required,
}

/// A server's certificate with its key, and whom it lets in, in PEM. TLS 1.2
/// and 1.3 are spoken, and nothing older. Of the suites that a client offers, a
/// listener takes AES-128-GCM before AES-256-GCM before ChaCha20-Poly1305; the
/// client's order counts where it has ChaCha20 first, and ChaCha20 comes first
/// where this machine has no instructions for AES.
pub struct TlsConfig {
    provider: Arc<CryptoProvider>,
    key: Arc<CertifiedKey>,
    expires: SystemTime,
    clients: Option<Clients>,
}

struct Clients {
    builder: ClientCertVerifierBuilder,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl TlsConfig {
    /// Reads the certificate, followed by those that lead to its authority,
    /// and its private key. Both may be in one file.
    ///
    /// # Errors
    /// A file cannot be read or has not in it what it should have, or the key
    /// does not belong to the certificate.
    pub fn from_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        Self::new(&Pem::read(certificate.as_ref())?, &Pem::read(key.as_ref())?)
    }

    /// The same from the content of the files.
    ///
    /// # Errors
    /// As for [`TlsConfig::from_files`].
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::new(&Pem::new(certificate, "the certificate"), &Pem::new(key, "the key"))
    }

    fn new(certificate: &Pem, key: &Pem) -> Result<Self, TlsError> {
        let provider = Arc::new(preference::provider(preference::has_aes()));
        let certificates = certificate.certificates()?;
        let ends = certificates.iter().map(|(line, one)| {
            expires(one).ok_or_else(|| certificate.unusable_at(*line, "it is none"))
        });
        let ends: Vec<_> = ends.collect::<Result<_, _>>()?;
        let chain = certificates.into_iter().map(|(_, one)| one).collect();
        let certified =
            CertifiedKey::from_der(chain, key.key()?, &provider).map_err(|error| match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    key.error(TlsProblem::KeyMismatch(certificate.origin().to_owned()))
                }
                Error::InvalidCertificate(error) => certificate.unusable(error),
                error => key.unusable(error),
            })?;
        Ok(Self { provider, key: Arc::new(certified), expires: ends[0], clients: None })
    }

    /// Clients may or must show a certificate that one of the authorities in
    /// this file has signed.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificate in it that can be used.
    pub fn clients_from_file(
        self,
        authorities: impl AsRef<Path>,
        certificates: ClientCertificates,
    ) -> Result<Self, TlsError> {
        self.with_clients(&Pem::read(authorities.as_ref())?, certificates)
    }

    /// The same from the content of the file.
    ///
    /// # Errors
    /// As for [`TlsConfig::clients_from_file`].
    pub fn clients(
        self,
        authorities: &[u8],
        certificates: ClientCertificates,
    ) -> Result<Self, TlsError> {
        self.with_clients(&Pem::new(authorities, "the clients' authorities"), certificates)
    }

    fn with_clients(
        mut self,
        authorities: &Pem,
        certificates: ClientCertificates,
    ) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for (line, certificate) in authorities.certificates()? {
            roots.add(certificate).map_err(|error| authorities.unusable_at(line, error))?;
        }
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), self.provider.clone());
        if certificates == ClientCertificates::Optional {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.clone().build().map_err(|error| authorities.unusable(error))?;
        self.clients = Some(Clients { builder, verifier });
        Ok(self)
    }

    /// Clients whose certificates stand in this list are refused. It is one of
    /// the clients' authorities that has to have signed it, so it comes after
    /// those.
    ///
    /// # Errors
    /// The file cannot be read, has no such list in it, or there are no
    /// authorities.
    pub fn revoked_from_file(self, list: impl AsRef<Path>) -> Result<Self, TlsError> {
        self.with_revoked(&Pem::read(list.as_ref())?)
    }

    /// The same from the content of the file.
    ///
    /// # Errors
    /// As for [`TlsConfig::revoked_from_file`].
    pub fn revoked(self, list: &[u8]) -> Result<Self, TlsError> {
        self.with_revoked(&Pem::new(list, "the list of the revoked"))
    }

    fn with_revoked(mut self, list: &Pem) -> Result<Self, TlsError> {
        let Some(Clients { builder, .. }) = self.clients.take() else {
            return Err(list.unusable("clients are not asked for certificates"));
        };
        let builder = builder.with_crls(list.revocation_lists()?);
        let verifier = builder.clone().build().map_err(|error| list.unusable(error))?;
        self.clients = Some(Clients { builder, verifier });
        Ok(self)
    }

    /// Until when the server's certificate is valid.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// The server's certificate, in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.key.cert[0]
    }

    /// What another server of the same program goes by in its handshakes, such
    /// as one of HTTP: the same certificate, TLS 1.2 and 1.3, and no question
    /// for the clients' certificates. The client chooses the cipher suite, unless
    /// this machine has no instructions for AES: then it is ChaCha20, if the
    /// client has that. What is spoken above it (ALPN) is for the caller to say.
    pub fn server_config(&self) -> ServerConfig {
        let builder = self.builder().with_no_client_auth();
        let mut config = builder.with_cert_resolver(self.resolver());
        config.ignore_client_order = !preference::has_aes();
        config
    }

    fn builder(&self) -> ConfigBuilder<ServerConfig, WantsVerifier> {
        ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("the provider has suites for both")
    }

    fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(self.key.clone()))
    }

    /// Makes of it what handshakes go by.
    pub(super) fn build(self) -> Handshakes {
        let Some(Clients { verifier, .. }) = &self.clients else {
            return Handshakes::new(self.server_config());
        };
        let builder = self.builder().with_client_cert_verifier(verifier.clone());
        let mut config = builder.with_cert_resolver(self.resolver());
        // A session that is resumed would not look at the certificate again:
        // whether it has expired or was revoked meanwhile.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Handshakes::new(config)
    }
}

impl std::fmt::Debug for TlsConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TlsConfig").field("expires", &self.expires).finish_non_exhaustive()
    }
}

fn expires(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
