//! `http`: the API and the board.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use openidconnect::url::Url;
use serde::Deserialize;

use super::listener::{self, Listener};
use super::{TrustedProxies, value};

/// The settings of the API and the board.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Where the server listens without TLS; nothing: nowhere.
    #[serde(deserialize_with = "listener::address")]
    pub listen: Option<SocketAddr>,
    /// Where it listens with TLS.
    #[serde(deserialize_with = "listener::address")]
    pub tls_listen: Option<SocketAddr>,
    /// Whether it may listen without TLS off loopback.
    pub allow_plain: bool,
    /// The names by which the server may be called, as in a `Host` header;
    /// without a port they are taken with the listening port or without one.
    /// The listening addresses are always among them.
    #[serde(deserialize_with = "value::list")]
    pub hosts: Vec<String>,
    /// What links start with, and one more origin that counts as the server's
    /// own; without it, `http://` and the listening address, or `https://`
    /// where only that is listened on.
    pub public_url: Option<String>,
    /// The origins whose pages may ask this server, and read what it answers,
    /// beside its own.
    #[serde(deserialize_with = "value::list")]
    pub cors_origins: Vec<String>,
    /// The proxies that are believed who a client is, and whether it came by
    /// TLS.
    pub trusted_proxies: TrustedProxies,
    /// Whom to tell of a hole: a `mailto:` or `https:` URL.
    pub security_contact: Option<String>,
    /// Whether `GET /lock` and `GET /unlock` operate devices too, as the
    /// oldest apps send them.
    pub get_commands: bool,
    /// The most bytes that a body may have, pictures apart.
    pub max_body_bytes: usize,
    /// How many connections may be open at once, rounded down so that the
    /// threads share them evenly; who comes later waits.
    pub max_connections: usize,
    /// How many streams of events may be open at once, at the most; three of four
    /// connections may be streams.
    pub streams: usize,
    /// How many of them may be one account's.
    pub streams_per_account: usize,
    /// How long a client may take for the head of its first request, and for
    /// the body of each, in milliseconds.
    pub request_timeout_ms: u64,
    /// How long a connection is kept whose client asks for nothing, or takes
    /// nothing of its answer, in milliseconds.
    pub keep_alive_ms: u64,
    /// How long the stop waits for the requests that are being answered, and
    /// for the commands that are under way, in milliseconds.
    pub shutdown_timeout_ms: u64,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 8080))),
            tls_listen: None,
            allow_plain: false,
            hosts: ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec(),
            public_url: None,
            cors_origins: Vec::new(),
            trusted_proxies: TrustedProxies::default(),
            security_contact: None,
            get_commands: false,
            max_body_bytes: 64 * 1024,
            max_connections: 4096,
            streams: 2000,
            streams_per_account: 50,
            request_timeout_ms: 10_000,
            keep_alive_ms: 60_000,
            shutdown_timeout_ms: 10_000,
        }
    }
}

impl HttpSettings {
    /// What links to this server start with, without a slash at the end;
    /// `plain` and `tls` are where it really listens.
    pub fn public_url(&self, plain: Option<SocketAddr>, tls: Option<SocketAddr>) -> String {
        match (&self.public_url, plain, tls) {
            (Some(url), ..) => url.trim_end_matches('/').to_owned(),
            (None, None, Some(tls)) => format!("https://{}", self.called(tls)),
            (None, Some(plain), _) => format!("http://{}", self.called(plain)),
            (None, None, None) => String::new(),
        }
    }

    /// How others call the server at this address: where that is every one
    /// that there is, by the first name that is not this machine's own.
    fn called(&self, address: SocketAddr) -> String {
        match self.host_for_others().filter(|_| address.ip().is_unspecified()) {
            Some(host) if has_port(host) => host.to_owned(),
            Some(host) => format!("{host}:{}", address.port()),
            None => address.to_string(),
        }
    }

    /// The first of `hosts` that is not this machine's own.
    fn host_for_others(&self) -> Option<&str> {
        let mut hosts = self.hosts.iter().map(String::as_str);
        hosts.find(|host| name_of(host).is_some_and(|name| !is_own(name)))
    }

    /// By which name others find this machine, if `hosts` has one.
    pub fn name_for_others(&self) -> Option<&str> {
        name_of(self.host_for_others()?)
    }

    /// Whether browsers are to come by TLS only.
    pub fn is_https_only(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
    }

    /// How long a client may take for a request's head, and for its body.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long a connection is kept on which nothing moves.
    pub fn keep_alive(&self) -> Duration {
        Duration::from_millis(self.keep_alive_ms)
    }

    /// How long the stop waits for what is in hand.
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }

    /// How many streams of events may be open at once: others are to come in, too.
    pub fn most_streams(&self) -> usize {
        self.streams.min(self.max_connections - self.max_connections / 4)
    }

    pub(super) fn listeners(&self) -> [Listener; 2] {
        [
            Listener { key: "http.listen", address: self.listen, tls: false },
            Listener { key: "http.tls_listen", address: self.tls_listen, tls: true },
        ]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        listener::check("http", &self.listeners(), self.allow_plain)?;
        for (index, host) in self.hosts.iter().enumerate() {
            let odd = |byte: u8| byte.is_ascii_whitespace() || b"/@*?#".contains(&byte);
            if name_of(host).is_none() || !host.is_ascii() || host.bytes().any(odd) {
                return Err(format!(
                    "http.hosts[{index}]: `{}` is not a host such as localhost, 127.0.0.1 or [::1], with or without a port",
                    host.escape_default()
                ));
            }
        }
        if let Some(url) = &self.public_url {
            let host = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
            let host = host.map(|rest| rest.trim_end_matches('/'));
            if host.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', '@', ' '])) {
                return Err(format!(
                    "http.public_url: `{}` is not a URL of a scheme and a host, such as https://home.example",
                    url.escape_default()
                ));
            }
        }
        if let Some(origin) = self.cors_origins.iter().find(|origin| !is_origin(origin)) {
            return Err(format!(
                "http.cors_origins: `{}` is not an origin, such as https://app.example or http://localhost:3000: no path, no `*`, no `null`",
                origin.escape_default()
            ));
        }
        let is_contact = |url: &Url| ["mailto", "https"].contains(&url.scheme());
        match &self.security_contact {
            Some(contact) if !contact.parse().as_ref().is_ok_and(is_contact) => {
                return Err(format!(
                    "http.security_contact: `{}` is not a URL such as mailto:me@home.example or https://home.example/security",
                    contact.escape_default()
                ));
            }
            _ => {}
        }
        for (key, value, least) in [
            ("max_body_bytes", self.max_body_bytes as u64, 256),
            ("max_connections", self.max_connections as u64, 1),
            ("streams", self.streams as u64, 1),
            ("streams_per_account", self.streams_per_account as u64, 1),
            ("request_timeout_ms", self.request_timeout_ms, 100),
            ("keep_alive_ms", self.keep_alive_ms, 1),
        ] {
            if value < least {
                return Err(format!("http.{key}: {value} is less than {least}"));
            }
        }
        Ok(())
    }
}

/// Whether this is an origin as browsers write it.
fn is_origin(text: &str) -> bool {
    let Ok(url) = text.parse::<Url>() else { return false };
    let is_one = !text.contains('*');
    is_one
        && ["http", "https"].contains(&url.scheme())
        && url.origin().ascii_serialization() == text
}

/// Whether a host, as in a `Host` header, has a port with it.
fn has_port(host: &str) -> bool {
    name_of(host).is_some_and(|name| name.len() < host.len())
}

/// The name or the address of a host, without its port; nothing: it is none.
fn name_of(host: &str) -> Option<&str> {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address.parse::<Ipv6Addr>().ok().map(|_| &host[..address.len() + 2]),
        None => host.split(':').next().filter(|name| !name.is_empty() && !name.starts_with('[')),
    }?;
    let port = host[name.len()..].strip_prefix(':');
    (name.len() == host.len() || port.is_some_and(|port| port.parse::<u16>().is_ok()))
        .then_some(name)
}

/// Whether a name is this machine's own, or that of no machine.
fn is_own(name: &str) -> bool {
    let address =
        name.trim_matches(['[', ']']).parse().map(|address: IpAddr| address.to_canonical());
    match address {
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_start_with_a_name_by_which_others_find_the_server() {
        let hosts = |hosts: &[&str]| HttpSettings {
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..HttpSettings::default()
        };
        let at = |text: &str| Some(text.parse().expect("an address"));
        let own = hosts(&["localhost", "[::1]"]);
        let house = hosts(&["127.0.0.1", "home.example", "localhost"]);
        let mapped = hosts(&["localhost", "[fd00::2]:443"]);
        for (settings, plain, tls, url) in [
            (&own, at("127.0.0.1:80"), None, "http://127.0.0.1:80"),
            (&house, at("127.0.0.1:80"), at("0.0.0.0:1"), "http://127.0.0.1:80"),
            (&house, None, at("192.0.2.1:1"), "https://192.0.2.1:1"),
            (&house, None, at("0.0.0.0:1"), "https://home.example:1"),
            (&mapped, None, at("[::]:1"), "https://[fd00::2]:443"),
            (&own, None, at("0.0.0.0:1"), "https://0.0.0.0:1"),
        ] {
            assert_eq!(settings.public_url(plain, tls), url);
        }
        let names = [&own, &house, &mapped].map(HttpSettings::name_for_others);
        assert_eq!(names, [None, Some("home.example"), Some("[fd00::2]")]);
        let nobodys = ["LocalHost:1", "0.0.0.0", "[::]:80", "127.1.2.3", "[::ffff:127.0.0.1]"];
        assert_eq!(hosts(&nobodys).name_for_others(), None);
        assert_eq!(hosts(&["localhost.example"]).name_for_others(), Some("localhost.example"));
    }

    #[test]
    fn a_host_has_a_name_or_an_address_and_perhaps_a_port() {
        for (host, name) in [
            ("home", "home"),
            ("home:1", "home"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("[::1]", "[::1]"),
            ("[fd00::2]:443", "[fd00::2]"),
        ] {
            assert_eq!((name_of(host), has_port(host)), (Some(name), name != host), "{host}");
        }
        for host in [
            "",
            ":80",
            "fd00::2",
            "::1",
            "home:",
            "home:x",
            "home:65536",
            "[::1",
            "[x]",
            "[]",
            "[::1]80",
            "[::1]:",
            "[127.0.0.1]",
        ] {
            assert_eq!(name_of(host), None, "{host}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for origin in ["https://app.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(is_origin(origin), "{origin}");
        }
        for text in [
            "*",
            "null",
            "",
            "app.example",
            "https://app.example/",
            "https://app.example:443",
            "https://APP.example",
            "https://*.example",
            "https://me@app.example",
            "ftp://app.example",
        ] {
            assert!(!is_origin(text), "{text}");
        }
    }
}
