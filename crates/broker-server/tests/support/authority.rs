//! Certificates of a test's own, as files.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::Folder;

/// Who signs certificates.
pub struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// Its own certificate is `ca.pem`.
    pub fn new(folder: &Folder) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        let key = KeyPair::generate().unwrap();
        folder.write("ca.pem", &params.self_signed(&key).unwrap().pem());
        Self(Issuer::new(params, key))
    }

    /// Signs `name.pem`, whose key is `name.key`.
    pub fn sign(&self, folder: &Folder, name: &str) {
        self.sign_with(folder, name, |_| {});
    }

    pub fn sign_with(
        &self,
        folder: &Folder,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) {
        let alternatives = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(alternatives).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        folder.write(&format!("{name}.pem"), &certificate.pem());
        folder.write(&format!("{name}.key"), &key.serialize_pem());
    }
}
