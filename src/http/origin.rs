//! A loopback address is no authentication: any page in a browser on the same
//! machine can send requests to it. What comes through a foreign page, or
//! under a foreign name, is refused (SAFETY C23a).
//!
//! - `Host` must be a name of ours on every request, so that a foreign name
//!   that was rebound to our address (DNS rebinding) reads nothing either.
//! - What changes something or streams must not come from a foreign `Origin`,
//!   and not with `Sec-Fetch-Site: cross-site` or `same-site`.
//!
//! A page of an origin in `http.cors_origins` may; `cors.rs` tells its browser
//! so. No other foreign page reads anything: there are no CORS headers for it.

use std::net::SocketAddr;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};

use super::{ApiError, Listening};
use crate::config::HttpSettings;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names and origins that are ours.
#[derive(Debug, Clone)]
pub struct Origins {
    /// As they may stand in `Host`, in lower case.
    hosts: Vec<String>,
    /// As they may stand in `Origin`, in lower case.
    origins: Vec<String>,
    /// Those of others whose pages may ask.
    listed: Vec<String>,
}

impl Origins {
    /// The names and origins of a server with these settings, at these
    /// listeners.
    pub fn of(settings: &HttpSettings, listening: &[Listening]) -> Self {
        let ports = listening.iter().map(|at| (at.address(), at.is_tls()));
        Self::new(settings, &ports.collect::<Vec<_>>())
    }

    /// The same for addresses, each with whether TLS is spoken there.
    fn new(settings: &HttpSettings, addresses: &[(SocketAddr, bool)]) -> Self {
        let listed = settings.cors_origins.clone();
        let mut ours = Self { hosts: Vec::new(), origins: Vec::new(), listed };
        for host in &settings.hosts {
            ours.add_host(&host.to_ascii_lowercase(), addresses);
        }
        for (address, _) in addresses {
            // Nobody can rebind an address: it is what it is.
            let host = match address {
                SocketAddr::V4(address) => address.ip().to_string(),
                SocketAddr::V6(address) => format!("[{}]", address.ip()),
            };
            ours.add_host(&host, addresses);
        }
        if let Some(url) = &settings.public_url {
            let url = url.trim_end_matches('/').to_ascii_lowercase();
            if let Some((_, host)) = url.split_once("://") {
                ours.hosts.push(host.to_owned());
            }
            ours.origins.push(url);
        }
        ours
    }

    /// The names, as they may stand in `Host`.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// The origins.
    pub fn origins(&self) -> &[String] {
        &self.origins
    }

    fn add_host(&mut self, host: &str, addresses: &[(SocketAddr, bool)]) {
        self.hosts.push(host.to_owned());
        if let Some(port) = port(host) {
            // One of our ports has its scheme; another one is led to us, and
            // nobody knows how.
            let own = addresses.iter().filter(|(address, _)| port == address.port().to_string());
            let schemes: Vec<bool> = match own.clone().next() {
                Some(_) => own.map(|(_, tls)| *tls).collect(),
                None => addresses.iter().map(|(_, tls)| *tls).collect(),
            };
            self.origins.extend(schemes.into_iter().map(|tls| format!("{}{host}", scheme(tls))));
            return;
        }
        for (address, tls) in addresses {
            let port = address.port();
            let with_port = format!("{host}:{port}");
            // A browser leaves the port out where it is the scheme's own.
            let is_schemes_own = port == if *tls { 443 } else { 80 };
            let shown = if is_schemes_own { host } else { &with_port };
            self.origins.push(format!("{}{shown}", scheme(*tls)));
            self.hosts.push(with_port);
        }
    }

    /// Refuses what is not for us, and what a foreign page wants changed.
    pub(super) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), ApiError> {
        self.check_host(uri, headers)?;
        let streams = headers.contains_key(header::UPGRADE);
        if streams || !(method == Method::GET || method == Method::HEAD) {
            self.check_origin(headers)?;
        }
        Ok(())
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut named = headers.get_all(header::HOST);
        let host = named.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        // A target in absolute form names a host too; both count.
        let ours = |host: &str| self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host));
        if ours(host) && named.next().is_none() && (authority.is_empty() || ours(authority)) {
            return Ok(());
        }
        let shown: String = host.chars().take(100).flat_map(char::escape_default).collect();
        Err(ApiError::Foreign(format!(
            "this server is not called `{shown}`: Host must be one of http.hosts in config.json"
        )))
    }

    /// Refuses what a foreign page asks for, for requests that change
    /// something although they are a GET.
    pub(super) fn check_origin(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.is_listed(headers) { Ok(()) } else { self.check_own(headers) }
    }

    /// Whether it comes from a page of another origin that may ask.
    pub(super) fn is_listed(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).map(HeaderValue::as_bytes);
        let listed = |origin: &[u8]| self.listed.iter().any(|ours| ours.as_bytes() == origin);
        origins.next().is_some_and(listed) && origins.next().is_none()
    }

    /// Refuses what any page asks for that is not the server's own.
    fn check_own(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let foreign = |what: &str, value: &HeaderValue| {
            let shown = String::from_utf8_lossy(value.as_bytes());
            let shown: String = shown.chars().take(100).flat_map(char::escape_default).collect();
            Err(ApiError::Foreign(format!(
                "{what}: {shown}: pages from elsewhere cannot operate this server"
            )))
        };
        for origin in headers.get_all(header::ORIGIN) {
            if !self.is_ours(origin.as_bytes()) {
                return foreign("Origin", origin);
            }
        }
        for site in headers.get_all(SEC_FETCH_SITE) {
            if !matches!(site.as_bytes(), b"same-origin" | b"none") {
                return foreign("Sec-Fetch-Site", site);
            }
        }
        // Where a browser sends no Origin (a GET), it tells the page's URL
        // unless the page forbids it.
        match headers.get(header::REFERER) {
            Some(page) if !self.is_ours(origin_of(page.as_bytes())) => foreign("Referer", page),
            _ => Ok(()),
        }
    }

    fn is_ours(&self, origin: &[u8]) -> bool {
        self.origins.iter().any(|ours| ours.as_bytes().eq_ignore_ascii_case(origin))
    }
}

fn port(host: &str) -> Option<&str> {
    let after_address = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    after_address.rsplit_once(':').map(|(_, port)| port)
}

fn scheme(tls: bool) -> &'static str {
    if tls { "https://" } else { "http://" }
}

/// Scheme, host and port of a URL.
fn origin_of(url: &[u8]) -> &[u8] {
    let mut slashes = url.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.nth(2).map_or(url, |(third, _)| &url[..third])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(settings: &HttpSettings) -> Origins {
        Origins::new(settings, &[(SocketAddr::from(([127, 0, 0, 1], 8080)), false)])
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            let name: HeaderName = name.parse().expect("header name");
            (name, HeaderValue::from_str(value).expect("header value"))
        };
        pairs.iter().map(pair).collect()
    }

    fn host(origins: &Origins, host: &str) -> bool {
        let uri = Uri::from_static("/");
        origins.check(&Method::GET, &uri, &headers(&[("host", host)])).is_ok()
    }

    #[test]
    fn our_names_are_taken_with_the_listening_port_and_without() {
        let origins = ours(&HttpSettings::default());
        for name in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]", "[::1]:8080"] {
            assert!(host(&origins, name), "{name}");
        }
        for name in
            ["", "evil.example", "localhost:80", "localhost.evil.example", "127.0.0.1.nip.io:8080"]
        {
            assert!(!host(&origins, name), "{name}");
        }
    }

    #[test]
    fn a_missing_a_second_and_an_absolute_foreign_host_are_refused() {
        let origins = ours(&HttpSettings::default());
        let uri = Uri::from_static("/");
        assert!(origins.check(&Method::GET, &uri, &headers(&[])).is_err());
        let two = headers(&[("host", "localhost"), ("host", "evil.example")]);
        assert!(origins.check(&Method::GET, &uri, &two).is_err());
        let absolute = Uri::from_static("http://evil.example/");
        let host = headers(&[("host", "localhost")]);
        assert!(origins.check(&Method::GET, &absolute, &host).is_err());
    }

    #[test]
    fn a_foreign_page_changes_nothing_and_may_be_a_link_to_the_board() {
        let origins = ours(&HttpSettings::default());
        let uri = Uri::from_static("/lock");
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "https://localhost:8080"),
            ("origin", "http://localhost:8081"),
            ("origin", "http://localhost"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("referer", "http://evil.example/page"),
        ] {
            let headers = headers(&[("host", "localhost:8080"), (name, value)]);
            assert!(origins.check(&Method::POST, &uri, &headers).is_err(), "{name}: {value}");
            assert!(origins.check(&Method::GET, &uri, &headers).is_ok(), "{name}: {value}");
        }
        for (name, value) in [
            ("origin", "http://localhost:8080"),
            ("origin", "http://127.0.0.1:8080"),
            ("origin", "http://[::1]:8080"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
            ("referer", "http://localhost:8080/"),
        ] {
            let headers = headers(&[("host", "localhost:8080"), (name, value)]);
            assert!(origins.check(&Method::POST, &uri, &headers).is_ok(), "{name}: {value}");
        }
    }

    #[test]
    fn the_public_url_is_an_origin_of_ours() {
        let settings = HttpSettings {
            public_url: Some("https://home.example/".to_owned()),
            ..HttpSettings::default()
        };
        let origins = ours(&settings);
        let uri = Uri::from_static("/lock");
        let own = [("host", "home.example"), ("origin", "https://home.example")];
        assert!(origins.check(&Method::POST, &uri, &headers(&own)).is_ok());
        let plain = [("host", "home.example"), ("origin", "http://home.example")];
        assert!(origins.check(&Method::POST, &uri, &headers(&plain)).is_err());
    }

    #[test]
    fn with_tls_it_is_the_scheme_of_the_port_that_counts() {
        let settings = HttpSettings {
            hosts: ["home", "home:8443", "home:8080", "home:9"].map(str::to_owned).to_vec(),
            ..HttpSettings::default()
        };
        let at = |port, tls| (SocketAddr::from(([127, 0, 0, 1], port)), tls);
        let plain_and_tls = Origins::new(&settings, &[at(8080, false), at(8443, true)]);
        let tls = Origins::new(&settings, &[at(443, true)]);
        for (ours, origin, is_ours) in [
            (&plain_and_tls, "http://home:8080", true),
            (&plain_and_tls, "https://home:8443", true),
            (&plain_and_tls, "https://127.0.0.1:8443", true),
            (&plain_and_tls, "https://home:8080", false),
            (&plain_and_tls, "http://home:8443", false),
            (&plain_and_tls, "http://home:9", true),
            (&plain_and_tls, "https://home:9", true),
            (&plain_and_tls, "https://home", false),
            (&tls, "https://home", true),
            (&tls, "http://home", false),
            (&tls, "https://home:443", false),
            (&tls, "http://home:9", false),
        ] {
            assert_eq!(ours.is_ours(origin.as_bytes()), is_ours, "{origin}");
        }
    }
}
