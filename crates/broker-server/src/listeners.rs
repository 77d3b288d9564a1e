//! From what the configuration says of a listener to where clients connect.

use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use latchlight_broker::{
    ClientCertificates, HttpListener, Listener, Tls, TlsConfig, TlsError, WebSocket,
};

use crate::config::{ClientCertificatesConfig, HttpConfig, ListenerConfig, ListenerKind};

/// From when on it is said that a certificate expires soon.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Reads the certificates of a listener that has some.
pub(crate) fn read_tls(config: &ListenerConfig) -> Result<Option<TlsConfig>, TlsError> {
    let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else {
        return Ok(None);
    };
    let mut tls = TlsConfig::from_files(certificate, key)?;
    if let Some(authorities) = &config.client_ca {
        let certificates = match config.client_certificates {
            ClientCertificatesConfig::Required => ClientCertificates::Required,
            ClientCertificatesConfig::Optional => ClientCertificates::Optional,
        };
        tls = tls.clients_from_file(authorities, certificates)?;
    }
    if let Some(list) = &config.client_crl {
        tls = tls.revoked_from_file(list)?;
    }
    Ok(Some(tls))
}

/// What is to be said of a certificate that does not hold for long.
pub(crate) fn expiry(tls: &TlsConfig) -> Option<String> {
    match tls.expires().duration_since(SystemTime::now()) {
        Ok(left) if left > SOON => None,
        Ok(left) => Some(format!("the certificate expires in {}", in_days(left))),
        Err(error) => {
            Some(format!("the certificate has expired, {} ago", in_days(error.duration())))
        }
    }
}

fn in_days(time: Duration) -> String {
    match time.as_secs() / (24 * 3600) {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Binds a listener, and puts on it what is spoken there.
pub(crate) fn bind(config: &ListenerConfig, tls: Option<&Tls>) -> anyhow::Result<Listener> {
    let ListenerConfig { kind, address, socket, .. } = config;
    let mut listener = match (address, socket) {
        (Some(address), _) => {
            if !address.ip().is_loopback() && !kind.has_tls() {
                tracing::warn!(%address, "passwords and messages cross the network in plain text");
            }
            let socket =
                TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
            Listener::tcp(socket)
        }
        (None, Some(path)) => Listener::unix(path, config.mode.0)
            .with_context(|| format!("listen on {}", path.display()))?,
        (None, None) => anyhow::bail!("a listener without an address"),
    };
    if let Some(tls) = tls {
        listener = listener.tls(tls);
    }
    if matches!(kind, ListenerKind::Ws | ListenerKind::Wss) {
        listener = listener.websocket(websocket(config));
    }
    Ok(match &config.name {
        Some(name) => listener.named(name),
        None => listener,
    })
}

fn websocket(config: &ListenerConfig) -> WebSocket {
    let mut settings = WebSocket::new();
    for path in &config.paths {
        settings = settings.path(path);
    }
    for host in &config.hosts {
        settings = if host == "*" { settings.any_host() } else { settings.host(host) };
    }
    for origin in &config.origins {
        settings = if origin == "*" { settings.any_origin() } else { settings.origin(origin) };
    }
    settings
}

/// Binds where statistics are served, if they are.
pub(crate) fn bind_http(config: &HttpConfig) -> anyhow::Result<Option<HttpListener>> {
    let Some(address) = config.listen else { return Ok(None) };
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "everybody who reaches it can read the statistics");
    }
    let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
    let listener = HttpListener::new(listener);
    Ok(Some(config.hosts.iter().fold(listener, |listener, name| listener.host(name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_told_as_people_say_them() {
        for (hours, said) in [(0, "less than a day"), (24, "1 day"), (47, "1 day"), (48, "2 days")]
        {
            assert_eq!(in_days(Duration::from_secs(hours * 3600)), said);
        }
    }
}
