//! Certificates of a test's own, as files.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

use super::Folder;

/// Who signs certificates.
pub struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// Its own certificate is `ca.pem`.
    pub fn new(folder: &Folder) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
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

    /// Writes a list of revoked certificates, with none on it.
    pub fn revoke_none(&self, folder: &Folder, name: &str) {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4096, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        folder.write(name, &list.signed_by(&self.0).unwrap().pem().unwrap());
    }
}
