//! The certificate that counts, and what became of the files since.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use latchlight_broker::{ClientCertificates, Tls, TlsConfig, TlsProblem};
use parking_lot::Mutex;
use rustls::ServerConfig;

use super::watch::Contents;
use crate::config::TlsSettings;

/// Less than this before a certificate's end, the log says so.
const TWO_WEEKS: Duration = Duration::from_secs(14 * 24 * 3600);

const DAY: f64 = 24.0 * 3600.0;

/// What is spoken over HTTP's TLS.
const HTTP_1_1: &[u8] = b"http/1.1";

/// What the listeners with TLS go by; clones are the same.
#[derive(Clone)]
pub struct Certificates(Arc<Inner>);

struct Inner {
    settings: TlsSettings,
    /// Asks for devices' certificates, where there are authorities for them.
    devices: Tls,
    /// Asks for none: a browser would show its user a choice of them.
    browsers: Tls,
    http: ArcSwap<ServerConfig>,
    status: Mutex<Status>,
    /// What the files had in them when they were read last, if they were good
    /// or not.
    read_from: Mutex<Contents>,
}

/// What there is to say of the certificate.
#[derive(Debug, Clone)]
pub struct Status {
    /// Until when the one that counts is valid.
    pub expires: SystemTime,
    /// Why the files, as they are now, are not taken.
    pub refused: Option<String>,
}

/// What the files have in them, once for each use.
struct Read {
    devices: TlsConfig,
    browsers: TlsConfig,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them cannot be used; the error names its setting.
    pub fn load(settings: &TlsSettings) -> anyhow::Result<Self> {
        // Before they are read: what changes meanwhile is seen later.
        let contents = Contents::of(settings);
        let Read { devices, browsers } = read(settings)?;
        let status = Status { expires: browsers.expires(), refused: None };
        let certificates = Self(Arc::new(Inner {
            settings: settings.clone(),
            http: ArcSwap::new(of_http(&browsers)),
            devices: Tls::new(devices),
            browsers: Tls::new(browsers),
            status: Mutex::new(status),
            read_from: Mutex::new(contents),
        }));
        certificates.warn_of_end();
        Ok(certificates)
    }

    /// Reads the files again: handshakes from now on go by them, connections
    /// that there are stay. If they cannot be used, nothing changes.
    ///
    /// # Errors
    /// As for [`Certificates::load`].
    pub fn reload(&self) -> anyhow::Result<()> {
        let Inner { settings, devices, browsers, http, status, read_from } = &*self.0;
        // One after the other, so that all go by the same in the end.
        let mut status = status.lock();
        *read_from.lock() = Contents::of(settings);
        match read(settings) {
            Ok(read) => {
                *status = Status { expires: read.browsers.expires(), refused: None };
                http.store(of_http(&read.browsers));
                devices.replace(read.devices);
                browsers.replace(read.browsers);
                Ok(())
            }
            Err(error) => {
                status.refused = Some(format!("{error:#}"));
                Err(error)
            }
        }
    }

    /// What devices' listeners go by.
    pub fn for_devices(&self) -> &Tls {
        &self.0.devices
    }

    /// What listeners of MQTT over WebSocket go by.
    pub fn for_browsers(&self) -> &Tls {
        &self.0.browsers
    }

    /// What a handshake of HTTP goes by that begins now.
    pub fn for_http(&self) -> Arc<ServerConfig> {
        self.0.http.load_full()
    }

    /// The files, and their settings.
    pub fn settings(&self) -> &TlsSettings {
        &self.0.settings
    }

    /// What there is to say of it.
    pub fn status(&self) -> Status {
        self.0.status.lock().clone()
    }

    pub(super) fn read_from(&self) -> Contents {
        self.0.read_from.lock().clone()
    }

    /// Says in the log that the certificate ends soon, or has ended.
    pub(super) fn warn_of_end(&self) {
        let status = self.status();
        let days = status.days_left();
        if days <= 0.0 {
            tracing::error!("the certificate has expired: nobody who looks at it connects");
        } else if days * DAY <= TWO_WEEKS.as_secs_f64() {
            let days = days.floor() as u64;
            tracing::warn!(days, "the certificate expires soon");
        }
    }
}

impl Status {
    /// When the certificate expires, in seconds since 1970.
    pub fn expiry_timestamp(&self) -> f64 {
        let since = self.expires.duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0.0, |since| since.as_secs_f64())
    }

    /// How many days the certificate has left; below zero when it has expired.
    pub fn days_left(&self) -> f64 {
        let now = SystemTime::now();
        match self.expires.duration_since(now) {
            Ok(left) => left.as_secs_f64() / DAY,
            Err(over) => -over.duration().as_secs_f64() / DAY,
        }
    }
}

fn read(settings: &TlsSettings) -> anyhow::Result<Read> {
    let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else {
        anyhow::bail!("tls.certificate and tls.key are not set");
    };
    // Once for each use: what asks for certificates cannot be copied.
    let server = || {
        TlsConfig::from_files(certificate, key).map_err(|error| {
            let setting = match error.problem {
                TlsProblem::NoKey | TlsProblem::EncryptedKey | TlsProblem::KeyMismatch(_) => {
                    "tls.key"
                }
                _ if error.origin == key.display().to_string() && key != certificate => "tls.key",
                _ => "tls.certificate",
            };
            anyhow::Error::new(error).context(setting)
        })
    };
    let browsers = server()?;
    let mut devices = server()?;
    if let Some(authorities) = &settings.client_ca {
        devices = devices
            .clients_from_file(authorities, ClientCertificates::Optional)
            .context("tls.client_ca")?;
    }
    if let Some(list) = &settings.client_crl {
        devices = devices.revoked_from_file(list).context("tls.client_crl")?;
    }
    Ok(Read { devices, browsers })
}

fn of_http(config: &TlsConfig) -> Arc<ServerConfig> {
    let mut config = config.server_config();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Arc::new(config)
}
