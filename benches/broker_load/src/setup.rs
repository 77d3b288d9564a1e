//! How a broker is to be set up for a work.
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

use crate::target::Transport;

/// A kind of listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Plain TCP.
    Plain,
    /// TLS.
    Tls,
    /// WebSocket.
    WebSocket,
}

/// How a broker is to be set up: one listener on a port of 127.0.0.1 that takes everybody.
#[derive(Debug)]
pub struct Setup {
    /// What is spoken there.
    pub listener: Listener,
    /// Sessions and messages are to be kept on disk.
    pub durable: bool,
    /// Where it listens.
    pub port: u16,
    /// A folder for its files.
    pub folder: TempDir,
    /// How clients speak to it.
    pub transport: Transport,
}

impl Setup {
    /// With its files in a new folder in this one, and a certificate where one is needed.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn new(
        listener: Listener,
        durable: bool,
        port: u16,
        within: &std::path::Path,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(within).context("create the folder for runs")?;
        let folder = TempDir::new_in(within).context("create a temporary folder")?;
        let mut setup = Self { listener, durable, port, folder, transport: Transport::Plain };
        setup.transport = match listener {
            Listener::Plain => Transport::Plain,
            Listener::WebSocket => Transport::WebSocket,
            Listener::Tls => setup.make_certificate()?,
        };
        Ok(setup)
    }

    fn make_certificate(&self) -> anyhow::Result<Transport> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).context("make a certificate")?;
        std::fs::write(self.certificate(), cert.pem()).context("write the certificate")?;
        std::fs::write(self.key(), signing_key.serialize_pem()).context("write its key")?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(cert.der().to_vec())).context("trust the certificate")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("set up TLS")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Transport::Tls(Arc::new(config)))
    }

    /// The file of the certificate, PEM.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// The file of its key, PEM.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// A file or folder of the broker's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
