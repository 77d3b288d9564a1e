//! A client of the server's TLS listeners: what it trusts and shows, and which
//! versions it speaks.

use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslStream, SslVersion};
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::patient_stream::PatientStream;

/// What a client goes by.
pub(crate) struct TlsClient {
    authority: PathBuf,
    shows: Option<(PathBuf, PathBuf)>,
    version: Option<SslVersion>,
}

impl TlsClient {
    /// One that trusts this authority.
    pub(crate) fn of(authority: &Authority) -> Self {
        Self::trusting(authority.ca())
    }

    /// The same by its certificate's file.
    pub(crate) fn trusting(authority: PathBuf) -> Self {
        Self { authority, shows: None, version: None }
    }

    /// It shows this certificate, if it is asked.
    pub(crate) fn shows(mut self, files: (PathBuf, PathBuf)) -> Self {
        self.shows = Some(files);
        self
    }

    /// It speaks this version alone.
    pub(crate) fn speaks(mut self, version: SslVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// A connection to the server as `localhost`, after the handshake.
    pub(crate) fn connect(&self, address: &str) -> Result<SslStream<PatientStream>, String> {
        let mut tls = SslConnector::builder(SslMethod::tls_client()).unwrap();
        tls.set_ca_file(&self.authority).unwrap();
        tls.set_cipher_list("DEFAULT@SECLEVEL=0").unwrap();
        tls.set_min_proto_version(Some(self.version.unwrap_or(SslVersion::TLS1))).unwrap();
        tls.set_max_proto_version(self.version).unwrap();
        if let Some((certificate, key)) = &self.shows {
            tls.set_certificate_file(certificate, SslFiletype::PEM).unwrap();
            tls.set_private_key_file(key, SslFiletype::PEM).unwrap();
        }
        let stream = PatientStream::connect(address).map_err(|error| error.to_string())?;
        tls.build().connect("localhost", stream).map_err(|error| error.to_string())
    }

    /// The certificate that the server shows there, in DER.
    pub(crate) fn certificate(&self, address: &str) -> Vec<u8> {
        let stream = self.connect(address).unwrap();
        stream.ssl().peer_certificate().unwrap().to_der().unwrap()
    }
}

/// Whether MQTT is spoken with who comes like this: a PINGREQ is no CONNECT,
/// and ends the connection without an alert. In TLS 1.3, it is only after its
/// own end of the handshake that a client hears of being refused.
#[track_caller]
pub(crate) fn is_let_on(client: &TlsClient, address: &str) -> bool {
    let mut stream = client.connect(address).unwrap();
    match stream.write_all(&[0xC0, 0]).and_then(|()| stream.read(&mut [0; 1])) {
        Ok(0) => true,
        Err(error) if error.to_string().contains("alert") => false,
        // It came too late to be read.
        Err(error) if [ConnectionReset, BrokenPipe].contains(&error.kind()) => false,
        other => panic!("neither let on nor refused: {other:?}"),
    }
}

/// Asks for a page on a connection that stays; gives the answer's head and body.
pub(crate) fn ask(stream: &mut (impl Read + Write), path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}\n") {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).unwrap();
        assert_ne!(count, 0, "closed: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&bytes[..count]);
    }
    String::from_utf8(answer).unwrap()
}

/// The settings of a server with TLS for HTTP and MQTT, and this certificate.
pub(crate) fn with_tls(certificate: &Path, key: &Path) -> Value {
    json!({
        "http": { "tls_listen": "127.0.0.1:0" },
        "mqtt": { "tls_listen": "127.0.0.1:0" },
        "tls": { "certificate": certificate, "key": key },
    })
}

/// The same with a certificate for `localhost`.
pub(crate) fn with_tls_of(authority: &Authority) -> Value {
    let (certificate, key) = authority.sign("localhost");
    with_tls(&certificate, &key)
}
