//! `tls`: the certificate that HTTP and MQTT show, and whose clients'
//! certificates are taken.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The files of TLS, as PEM; below the folder of config.json where they are
/// relative. They are read again when they change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// The server's certificate, followed by those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// Its private key, which may be in the same file.
    pub key: Option<PathBuf>,
    /// The authorities whose certificates devices may show over MQTT.
    pub client_ca: Option<PathBuf>,
    /// The lists of those that are no longer taken.
    pub client_crl: Option<PathBuf>,
}

impl TlsSettings {
    /// Puts the files that are relative below the folder of config.json.
    pub fn place_files(&mut self, folder: &Path) {
        for file in self.files_mut() {
            *file = file.take().map(|file| folder.join(file));
        }
    }

    /// The files that are set, each with its setting.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let files = [
            ("tls.certificate", &self.certificate),
            ("tls.key", &self.key),
            ("tls.client_ca", &self.client_ca),
            ("tls.client_crl", &self.client_crl),
        ];
        files.into_iter().filter_map(|(key, file)| Some((key, file.as_deref()?)))
    }

    fn files_mut(&mut self) -> [&mut Option<PathBuf>; 4] {
        [&mut self.certificate, &mut self.key, &mut self.client_ca, &mut self.client_crl]
    }

    /// `needed_by`: a listener with TLS, if there is one.
    pub(super) fn check(&self, needed_by: Option<&str>) -> Result<(), String> {
        if self.files().any(|(_, file)| file.as_os_str().is_empty()) {
            return Err("tls: a file's name is empty".to_owned());
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err("tls.certificate and tls.key belong together; they may name the same file"
                .to_owned());
        }
        if self.client_ca.is_some() && self.certificate.is_none() {
            return Err("tls.client_ca needs tls.certificate and tls.key".to_owned());
        }
        if self.client_crl.is_some() && self.client_ca.is_none() {
            return Err(
                "tls.client_crl needs tls.client_ca, which has to have signed it".to_owned()
            );
        }
        match needed_by {
            Some(listener) if self.certificate.is_none() => Err(format!(
                "{listener} needs tls.certificate and tls.key: `latchlight tls init` makes some \
                 for the house's own network, docs/tls.md has other ways"
            )),
            _ => Ok(()),
        }
    }
}
