//! What a request calls the server, and where the page is from that makes it.

use std::net::{IpAddr, Ipv6Addr};

/// Whether a `Host` is an address or `localhost`: nobody can make those lead
/// here who does not own them.
pub(super) fn is_own(host: &str) -> bool {
    let (name, _) = split(host);
    let is_v6 = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match is_v6 {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok(),
    }
}

/// Whether a `Host` is this name, at whatever port.
pub(super) fn is_called(host: &str, name: &str) -> bool {
    split(host).0.eq_ignore_ascii_case(name)
}

/// Whether an `Origin` is what the request calls the server.
pub(super) fn is_same(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let usual = match scheme.to_ascii_lowercase().as_str() {
        "http" => "80",
        "https" => "443",
        _ => return false,
    };
    let ((from, from_port), (to, to_port)) = (split(authority), split(host));
    from.eq_ignore_ascii_case(to) && from_port.unwrap_or(usual) == to_port.unwrap_or(usual)
}

/// A host, and its port if it names one.
fn split(authority: &str) -> (&str, Option<&str>) {
    // The colons within an IPv6 address stand in brackets.
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_the_servers_own() {
        for host in ["127.0.0.1", "192.0.2.1:1", "[::1]", "[2001:db8::1]:8083", "LocalHost:8083"] {
            assert!(is_own(host), "{host}");
        }
        for host in ["", "example.org", "127.0.0.1.example.org", "localhost.example", "::1", "[::1"]
        {
            assert!(!is_own(host), "{host}");
        }
    }

    #[test]
    fn an_origin_is_the_same_only_with_its_port() {
        for (origin, host) in [
            ("http://127.0.0.1:8083", "127.0.0.1:8083"),
            ("https://app.example", "APP.example"),
            ("https://app.example", "app.example:443"),
            ("http://app.example:80", "app.example"),
            ("http://[::1]:1", "[::1]:1"),
        ] {
            assert!(is_same(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8083"),
            ("https://app.example", "app.example:80"),
            ("http://app.example", "app.example.evil.example"),
            ("null", "null"),
            ("", ""),
            ("file://localhost", "localhost"),
        ] {
            assert!(!is_same(origin, host), "{origin} {host}");
        }
    }
}
