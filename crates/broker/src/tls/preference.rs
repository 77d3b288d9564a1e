//! Which of the cipher suites that a client offers a connection takes.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::ClientHello;
use rustls::{CipherSuite, ServerConfig};

/// What handshakes go by, each by what its client prefers.
pub(crate) struct Handshakes {
    /// The server's order counts.
    ours: Arc<ServerConfig>,
    /// The client's does.
    theirs: Arc<ServerConfig>,
}

impl Handshakes {
    pub(super) fn new(config: ServerConfig) -> Self {
        // Sessions, certificates and who is let in are the same for both.
        let (mut ours, mut theirs) = (config.clone(), config);
        ours.ignore_client_order = true;
        theirs.ignore_client_order = false;
        Self { ours: Arc::new(ours), theirs: Arc::new(theirs) }
    }

    /// What this client's handshake goes by.
    pub(crate) fn for_client(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let known = &self.ours.crypto_provider().cipher_suites;
        let is_known = |suite: &&CipherSuite| known.iter().any(|one| one.suite() == **suite);
        // Who has ChaCha20 first may have no instructions for AES.
        let first = hello.cipher_suites().iter().find(is_known);
        let prefers_chacha = first.is_some_and(|suite| is_chacha(*suite));
        if prefers_chacha { self.theirs.clone() } else { self.ours.clone() }
    }
}

/// ring's suites in the order of a server that has instructions for AES, or has
/// none.
pub(super) fn provider(has_aes: bool) -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| rank(suite.suite(), has_aes));
    provider
}

/// The lower, the sooner it is taken. AES-128 is what everybody has (RFC 8446,
/// 9.1), and takes a fifth less time than AES-256; without instructions for
/// AES, ChaCha20 takes a fraction of either.
fn rank(suite: CipherSuite, has_aes: bool) -> u8 {
    match suite {
        suite if is_chacha(suite) && !has_aes => 0,
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 1,
        suite if is_chacha(suite) => 3,
        _ => 2,
    }
}

fn is_chacha(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    )
}

/// Whether this machine has instructions for AES-GCM; a program for 32-bit ARM
/// knows of none.
pub(super) fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use CipherSuite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 as OLD_AES_128,
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 as OLD_AES_256,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 as OLD_CHACHA,
        TLS13_AES_128_GCM_SHA256 as AES_128, TLS13_AES_256_GCM_SHA384 as AES_256,
        TLS13_CHACHA20_POLY1305_SHA256 as CHACHA,
    };
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::server::Acceptor;
    use rustls::{ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    /// What browsers put first, so that servers stay used to what they do not
    /// know (RFC 8701).
    const GREASE: CipherSuite = CipherSuite::Unknown(0x0A0A);

    fn handshakes(has_aes: bool) -> Handshakes {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(provider(has_aes)));
        let builder = builder.with_protocol_versions(ALL_VERSIONS).unwrap().with_no_client_auth();
        Handshakes::new(builder.with_single_cert(vec![own.cert.der().clone()], key).unwrap())
    }

    /// The first words of a client that has these suites in this order.
    fn hello(offers: &[CipherSuite]) -> Vec<u8> {
        let mut provider = ring::default_provider();
        let place = |suite| offers.iter().position(|offered| *offered == suite);
        provider.cipher_suites.retain(|suite| place(suite.suite()).is_some());
        provider.cipher_suites.sort_by_key(|suite| place(suite.suite()));
        let config = ClientConfig::builder_with_provider(Arc::new(provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        if offers[0] == GREASE {
            // In the place of the suite behind it, which comes first: after the
            // headers of record and message, version, random number, session and
            // length.
            let first = 5 + 4 + 2 + 32 + 1 + 32 + 2;
            bytes[first..first + 2].copy_from_slice(&GREASE.to_array());
        }
        bytes
    }

    #[test]
    fn the_suite_goes_by_what_both_prefer() {
        let cases: &[(&[CipherSuite], CipherSuite, CipherSuite)] = &[
            // As OpenSSL has them.
            (&[AES_256, CHACHA, AES_128, OLD_AES_256, OLD_CHACHA, OLD_AES_128], AES_128, CHACHA),
            (&[AES_256, AES_128], AES_128, AES_128),
            (&[AES_256], AES_256, AES_256),
            (&[AES_256, CHACHA], AES_256, CHACHA),
            // Who has no instructions for AES.
            (&[CHACHA, AES_128, AES_256], CHACHA, CHACHA),
            (&[GREASE, AES_256, CHACHA, AES_128], CHACHA, CHACHA),
            (&[GREASE, AES_256, AES_128, CHACHA], AES_128, CHACHA),
            // TLS 1.2 alone.
            (&[OLD_AES_256, OLD_AES_128, OLD_CHACHA], OLD_AES_128, OLD_CHACHA),
            (&[OLD_CHACHA, OLD_AES_128, OLD_AES_256], OLD_CHACHA, OLD_CHACHA),
            (&[OLD_AES_256], OLD_AES_256, OLD_AES_256),
        ];
        for (offers, with_aes, without) in cases {
            for (has_aes, expected) in [(true, with_aes), (false, without)] {
                let mut acceptor = Acceptor::default();
                acceptor.read_tls(&mut &hello(offers)[..]).unwrap();
                let accepted = acceptor.accept().ok().unwrap().unwrap();
                let config = handshakes(has_aes).for_client(&accepted.client_hello());
                let session = accepted.into_connection(config).ok().unwrap();
                let suite = session.negotiated_cipher_suite().unwrap().suite();
                assert_eq!(suite, *expected, "{offers:?}, {has_aes}");
            }
        }
    }
}
